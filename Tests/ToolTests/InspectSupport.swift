import Foundation

/// The built tool, the peers that judge it, and files to try it on.
enum InspectSupport {
    struct Outcome {
        var status: Int32
        /// Whether a signal ended it: no input may do that.
        var crashed: Bool
        var output: String
        var errors: String
    }

    private static let environment = ProcessInfo.processInfo.environment
    private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The tool beside the test bundle; `PANDO_BINARY` names another.
    static let binary: String = {
        if let path = environment["PANDO_BINARY"] { return path }
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("pando").path
        return FileManager.default.isExecutableFile(atPath: beside)
            ? beside : package.appendingPathComponent(".build/release/pando").path
    }()

    /// Sample inputs in the layout of AspenOpenJets, by name: `PANDO_DATA`, files beside the package, or its own samples.
    static let inputs: [String] = {
        let data =
            environment["PANDO_DATA"].map { URL(fileURLWithPath: $0) }
            ?? package.deletingLastPathComponent().appendingPathComponent("shared/data")
        for folder in [data.appendingPathComponent("h5"), package.appendingPathComponent("samples")] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            let paths = names.filter { $0.hasSuffix(".h5") && !$0.contains("other_layout") }.sorted()
                .map { folder.appendingPathComponent($0).path }
            if !paths.isEmpty { return paths }
        }
        return []
    }()

    /// Whether there is something to convert, the tool, and h5py to compare with.
    static let canCompare =
        !inputs.isEmpty && FileManager.default.isExecutableFile(atPath: binary)
        && (try? python("import h5py, numpy"))?.status == 0
    static let hasTool = FileManager.default.isExecutableFile(atPath: binary)
    static let hasPyarrow = hasTool && (try? python("import pyarrow, numpy"))?.status == 0

    static func run(_ program: String, _ arguments: [String]) throws -> Outcome {
        let folder = try Folder()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        // Files, not pipes: neither stream can block the other.
        for name in ["out", "err"] { _ = FileManager.default.createFile(atPath: folder(name), contents: nil) }
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("out")))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("err")))
        try process.run()
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: folder(name))), as: UTF8.self)
        }
        return Outcome(
            status: process.terminationStatus, crashed: process.terminationReason == .uncaughtSignal,
            output: try text("out"), errors: try text("err"))
    }

    static func pando(_ arguments: String...) throws -> Outcome { try run(binary, arguments) }

    /// Runs a script with `arguments` in `sys.argv[1:]`. `PANDO_PYTHON` names the interpreter.
    static func python(_ script: String, _ arguments: [String] = []) throws -> Outcome {
        let interpreter = environment["PANDO_PYTHON"] ?? "python3"
        return try run("/usr/bin/env", [interpreter, "-c", "import sys, json\n" + script] + arguments)
    }

    /// A folder that goes with the object.
    final class Folder: Sendable {
        let path = NSTemporaryDirectory() + "pando-inspect-" + UUID().uuidString

        init() throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func callAsFunction(_ name: String) -> String { path + "/" + name }

        func write(_ bytes: [UInt8], _ name: String) throws -> String {
            try Data(bytes).write(to: URL(fileURLWithPath: self(name)))
            return self(name)
        }
    }
}
