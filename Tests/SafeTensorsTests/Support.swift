import CDeflate
import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// Files with known numbers of the original models: `PANDO_GOLDEN`, or the folder `golden` of the larger files.
enum Golden {
    static let folder: String = {
        let environment = ProcessInfo.processInfo.environment
        return (environment["PANDO_GOLDEN"] ?? (Package.data ?? "/nowhere") + "/golden") + "/model"
    }()

    static func files(_ suffix: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted().map { folder + "/" + $0 }
    }
}

/// Checkpoints that PyTorch wrote; `make.py` beside them says what is in them.
enum Sample {
    static func path(_ name: String) -> String { Package.testData + "/pytorch/" + name }
}

/// Python with the packages of the tests. `PANDO_PYTHON` names the interpreter.
enum Python {
    static let hasSafetensors = (try? run("import safetensors.numpy, numpy")) != nil
    static let isThere = (try? run("")) != nil

    struct Failure: Error, CustomStringConvertible { var description: String }

    /// Runs a script, with `arguments` in `sys.argv[1:]`, and gives what it printed.
    @discardableResult
    static func run(_ script: String, _ arguments: [String] = []) throws -> Data {
        let process = Process(), output = Pipe(), folder = try TemporaryDirectory()
        let interpreter = ProcessInfo.processInfo.environment["PANDO_PYTHON"] ?? "python3"
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [interpreter, "-c", script] + arguments
        process.standardOutput = output
        _ = FileManager.default.createFile(atPath: folder.file("errors"), contents: nil)
        process.standardError = FileHandle(forWritingAtPath: folder.file("errors"))
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: (try? String(contentsOfFile: folder.file("errors"), encoding: .utf8)) ?? "")
        }
        return printed
    }
}

/// The bytes of a file.
func contents(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

/// A safetensors file of a header and data, right or wrong.
func tensorFile(_ json: String, _ data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    littleEndian(length ?? UInt64(json.utf8.count)) + Array(json.utf8) + data
}

/// The code of the error that `body` throws; nil if it throws none.
func code(_ body: () throws -> Void) -> SafeTensorsFailure? { failure(body)?.code }

/// The error that `body` throws; nil if it throws none, or none of this room's.
func failure(_ body: () throws -> Void) -> SafeTensorsError? {
    do {
        try body()
        return nil
    } catch { return error as? SafeTensorsError }
}

/// Pickles, opcode by opcode.
struct Pickle {
    var bytes: [UInt8] = [0x80, 2]

    /// A pickle of what `build` writes; `stop` ends it.
    init(_ build: (inout Pickle) -> Void) {
        build(&self)
        bytes.append(0x2e)
    }

    mutating func op(_ characters: String) { bytes += Array(characters.utf8) }
    mutating func op(_ code: UInt8, _ more: [UInt8] = []) { bytes += [code] + more }
    mutating func text(_ text: String) { bytes += [0x58] + littleEndian(UInt32(text.utf8.count)) + Array(text.utf8) }
    mutating func integer(_ value: Int) { bytes += [0x8a, 8] + littleEndian(Int64(value)) }
    mutating func global(_ module: String, _ name: String) { op("c\(module)\n\(name)\n") }

    mutating func tuple(_ numbers: [Int]) {
        op("(")
        for number in numbers { integer(number) }
        op("t")
    }

    mutating func storage(_ key: String, _ count: Int, type: String = "FloatStorage") {
        op("(")
        text("storage")
        global("torch", type)
        text(key)
        text("cpu")
        integer(count)
        op("tQ")
    }

    mutating func tensor(
        _ key: String, count: Int, shape: [Int], strides: [Int], offset: Int = 0, type: String = "FloatStorage"
    ) {
        global("torch._utils", "_rebuild_tensor_v2")
        op("(")
        storage(key, count, type: type)
        integer(offset)
        tuple(shape)
        tuple(strides)
        op(0x89)
        global("collections", "OrderedDict")
        op(")RtR")
    }
}

/// Zip archives of stored members, right or wrong.
struct Zip {
    struct Member {
        var name: String
        var content: [UInt8]
        var method: UInt16 = 0
        var flags: UInt16 = 0
        var checksum: UInt32?
        var size: UInt64?
        var localName: String?
        var position: UInt64?
        /// Whether sizes and position stand in 64 bits.
        var isWide = false
    }

    var members: [Member]
    /// Whether the end of the directory stands in 64 bits.
    var isWide = false
    var comment = ""

    /// A checkpoint of a pickle and storages.
    init(pickle: Pickle, storages: [String: [UInt8]] = [:], byteOrder: String? = "little", folder: String = "archive") {
        members = [Member(name: folder + "/data.pkl", content: pickle.bytes)]
        if let byteOrder { members.append(Member(name: folder + "/byteorder", content: Array(byteOrder.utf8))) }
        for (key, content) in storages.sorted(by: { $0.key < $1.key }) {
            members.append(Member(name: "\(folder)/data/\(key)", content: content))
        }
    }

    var bytes: [UInt8] {
        var file: [UInt8] = [], directory: [UInt8] = []
        for member in members {
            let position = member.position ?? UInt64(file.count), size = member.size ?? UInt64(member.content.count)
            let checksum =
                member.checksum ?? member.content.withUnsafeBytes { libdeflate_crc32(0, $0.baseAddress, $0.count) }
            let localName = Array((member.localName ?? member.name).utf8), name = Array(member.name.utf8)
            // Sizes and checksum follow the content in PyTorch's files, as flag 8 says, and are 0 in the local header.
            let padding = [UInt8](repeating: 0x5a, count: (64 - (file.count + 34 + localName.count) % 64) % 64)
            let extra = Array("FB".utf8) + littleEndian(UInt16(padding.count)) + padding
            file +=
                littleEndian(UInt32(0x0403_4b50)) + [0, 0] + littleEndian(member.flags | 8)
                + littleEndian(member.method)
            file += [UInt8](repeating: 0, count: 16) + littleEndian(UInt16(localName.count))
            file += littleEndian(UInt16(extra.count)) + localName + extra + member.content
            let narrow = member.isWide ? UInt32.max : UInt32(truncatingIfNeeded: size)
            let wide: [UInt8] =
                member.isWide
                ? littleEndian(UInt16(1)) + littleEndian(UInt16(24)) + littleEndian(size) + littleEndian(size)
                    + littleEndian(position) : []
            directory += littleEndian(UInt32(0x0201_4b50)) + [0, 0, 0, 0] + littleEndian(member.flags | 8)
            directory += littleEndian(member.method) + [0, 0, 0, 0] + littleEndian(checksum)
            directory += littleEndian(narrow) + littleEndian(narrow) + littleEndian(UInt16(name.count))
            directory += littleEndian(UInt16(wide.count)) + [UInt8](repeating: 0, count: 10)
            directory += littleEndian(member.isWide ? UInt32.max : UInt32(truncatingIfNeeded: position)) + name + wide
        }
        let start = file.count, count = members.count
        file += directory
        if isWide {
            let end = file.count
            file += littleEndian(UInt32(0x0606_4b50)) + littleEndian(UInt64(44)) + [UInt8](repeating: 0, count: 12)
            file += littleEndian(UInt64(count)) + littleEndian(UInt64(count)) + littleEndian(UInt64(directory.count))
            file += littleEndian(UInt64(start))
            file += littleEndian(UInt32(0x0706_4b50)) + littleEndian(UInt32(0)) + littleEndian(UInt64(end))
            file += littleEndian(UInt32(1))
        }
        let few = isWide ? UInt16.max : UInt16(count), none = isWide ? UInt32.max : 0
        file += littleEndian(UInt32(0x0605_4b50)) + [0, 0, 0, 0] + littleEndian(few) + littleEndian(few)
        file += littleEndian(UInt32(directory.count) | none) + littleEndian(UInt32(start) | none)
        return file + littleEndian(UInt16(comment.utf8.count)) + Array(comment.utf8)
    }
}
