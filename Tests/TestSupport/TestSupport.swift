import Foundation

/// The package, its data and its tool, as tests find them.
public enum Package {
    /// The root of the package.
    public static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// Data that belongs to the tests.
    public static let testData = root + "/Tests/Data"

    /// The committed sample: simulated jets in the layout of AspenOpenJets.
    public static let sample = root + "/samples/aoj_sample.h5"

    /// The larger files: `PANDO_DATA`, or beside the package; nil where there are none.
    public static var data: String? {
        let path = ProcessInfo.processInfo.environment["PANDO_DATA"] ?? root + "/../shared/data"
        return FileManager.default.fileExists(atPath: path + "/h5/aoj_small.h5") ? path : nil
    }

    /// ROOT files of JetClass in the folders train, val and test among the larger files; nil where there are none.
    public static var jetclass: String? {
        data.map { $0 + "/jetclass" }.flatMap { FileManager.default.fileExists(atPath: $0 + "/train") ? $0 : nil }
    }

    /// The built tool: `PANDO_BINARY`, or the release build.
    public static var tool: String {
        ProcessInfo.processInfo.environment["PANDO_BINARY"] ?? root + "/.build/release/pando"
    }

    /// A number from the environment: sizes of the nightly tests.
    public static func number(_ name: String, default value: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? value
    }
}

/// A directory that is removed at the end of its life.
public final class TemporaryDirectory: Sendable {
    /// Its path.
    public let path: String

    /// Makes an empty directory; `inMemory` where flushing to disk thousands of times would only take time.
    public init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let parent = inMemory && FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
        path = parent + "/pando-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Whether it lies in a file system that is memory, which keeps all pages.
    public var isInMemory: Bool {
        let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
        var longest = 0, type = ""
        for line in mounts.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 2, path.hasPrefix(words[1]), words[1].count >= longest else { continue }
            longest = words[1].count
            type = words[2]
        }
        return type == "tmpfs"
    }

    /// A path in it.
    public func file(_ name: String) -> String { path + "/" + name }
}

/// The files below a directory with their bytes.
public func contents(of directory: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: directory) {
        var isDirectory: ObjCBool = false
        let path = directory + "/" + name
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue {
            files[name] = try Data(contentsOf: URL(fileURLWithPath: path))
        }
    }
    return files
}

/// A run of the tool.
public struct Run: Sendable {
    /// The exit status; 128 + the signal if it was ended by one.
    public var status: Int32
    /// What it printed.
    public var output: String
    /// What it printed on stderr.
    public var errors: String

    /// Runs the tool with arguments and waits for it.
    public init(_ arguments: [String], environment: [String: String] = [:]) throws {
        let process = try Self.start(arguments, environment: environment)
        self = process.finish()
    }

    /// Runs another program of the package, which lies beside the tool, or one with a path of its own.
    public init(program: String, _ arguments: [String]) throws {
        self = try Self.start(arguments, program: program).finish()
    }

    /// A run that goes on.
    public struct Started {
        /// The process.
        public let process: Process
        private let output: TemporaryDirectory

        fileprivate init(process: Process, output: TemporaryDirectory) {
            self.process = process
            self.output = output
        }

        /// Waits for its end.
        public func finish() -> Run {
            process.waitUntilExit()
            let status =
                process.terminationReason == .uncaughtSignal
                ? 128 + process.terminationStatus : process.terminationStatus
            func text(_ name: String) -> String {
                (try? String(contentsOfFile: output.file(name), encoding: .utf8)) ?? ""
            }
            return Run(status: status, output: text("out"), errors: text("err"))
        }
    }

    private init(status: Int32, output: String, errors: String) {
        self.status = status
        self.output = output
        self.errors = errors
    }

    /// Starts the tool, or another program beside it.
    public static func start(
        _ arguments: [String], environment: [String: String] = [:], program: String = Package.tool
    ) throws -> Started {
        let process = Process(), directory = try TemporaryDirectory()
        let tools = URL(fileURLWithPath: Package.tool).deletingLastPathComponent()
        process.executableURL =
            program.hasPrefix("/") ? URL(fileURLWithPath: program) : tools.appendingPathComponent(program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        // Files, not pipes: a full pipe would hold the tool up.
        for name in ["out", "err"] { _ = FileManager.default.createFile(atPath: directory.file(name), contents: nil) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: directory.file("out"))
        process.standardError = FileHandle(forWritingAtPath: directory.file("err"))
        try process.run()
        return Started(process: process, output: directory)
    }
}

/// A small generator with a seed, so that failures can be repeated (SplitMix64).
public struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    /// A generator; the same seed gives the same numbers.
    public init(_ seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
