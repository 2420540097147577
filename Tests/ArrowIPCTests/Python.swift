import Foundation
import Testing

/// Runs Python for tests that need other readers and writers of Arrow. `PANDO_PYTHON` names the interpreter.
enum Python {
    static let hasPyarrow = (try? run("import pyarrow, numpy")) != nil
    static let hasPolars = (try? run("import pyarrow, numpy, polars")) != nil

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a script and returns what it printed.
    @discardableResult
    static func run(_ script: String, _ arguments: [String] = []) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let interpreter = ProcessInfo.processInfo.environment["PANDO_PYTHON"] ?? "python3"
        process.arguments = [interpreter, "-c", script] + arguments
        let output = Pipe()
        let errors = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        defer { try? FileManager.default.removeItem(at: errors) }
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: (try? String(contentsOf: errors, encoding: .utf8)) ?? "")
        }
        return printed
    }
}

/// Runs `body` with the path of a directory that is removed afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("pando-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try body(directory.path)
}

/// What another reader found in a column.
struct ForeignColumn: Decodable {
    let name: String
    let type: String
    /// Hexadecimal bytes of the values (one byte a bool), zero where one is missing; nil for types without them.
    let values: String?
    /// Lengths of lists or texts.
    let lengths: [Int32]?
    /// Whether there is a value, for rows and for places in lists.
    let valid: [Bool]?
    let childValid: [Bool]?
}
