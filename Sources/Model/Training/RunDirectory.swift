import Foundation
import Shards
import Support

/// The directory of a run: its configuration, its metrics, its checkpoints.
public struct RunDirectory: Sendable {
    /// Its path.
    public let path: String

    /// The directory at a path.
    /// - Parameter isMade: Whether it is made if it is not there.
    public init(_ path: String, isMade: Bool = true) throws {
        self.path = path
        if isMade { try Directory.make(path) }
    }

    /// The configuration in full.
    public var configuration: String { "\(path)/configuration.json" }
    /// A JSON object a line.
    public var metrics: String { "\(path)/metrics.jsonl" }
    /// The checkpoint to go on from.
    public var last: String { "\(path)/last.safetensors" }
    /// The one before.
    public var previous: String { "\(path)/previous.safetensors" }
    /// That of the lowest validation loss.
    public var best: String { "\(path)/best.safetensors" }

    /// Takes the directory for this process: two that trained here would mix their metrics and go on from each other's checkpoints.
    ///
    /// What a process of this host left that is gone is taken over at once; of another host, if its heartbeat stands still.
    /// - Throws: `ModelError` with code `occupied` that says who is training here; `SystemError` if nothing can be written.
    func claim() throws -> Claim {
        do {
            return try Claim(directory: path, watch: ClaimWatch(patience: ClaimWatch.silence))
        } catch let error as DatasetError where error.code == .occupied {
            throw ModelError(
                .occupied, file: path, message: "another training is at work: \(error.message)",
                advice: "wait for it, or choose another directory")
        }
    }

    /// Writes a checkpoint to go on from; the one before stays.
    func save(_ checkpoint: Checkpoint, isBest: Bool) throws {
        if Directory.exists(last) {
            guard rename(last, previous) == 0 else { throw SystemError(file: previous, operation: "rename") }
        }
        try checkpoint.write(path: last)
        guard isBest else { return }
        var weights = Checkpoint(checkpoint.description, weights: checkpoint.weights)
        weights.description.training = nil
        try weights.write(path: best)
    }

    /// The checkpoint to go on from; nil in a fresh directory.
    func resumable() throws -> Checkpoint? {
        // Between two names there may be none: the one before is as good.
        for file in [last, previous] where Directory.exists(file) { return try Checkpoint(path: file) }
        return nil
    }

    /// Takes off the lines of steps beyond one, which a killed run wrote behind its last checkpoint.
    func trimMetrics(to step: Int) throws {
        guard Directory.exists(metrics) else { return }
        let text = String(decoding: try InputFile(path: metrics).readAll(limit: 1 << 32), as: UTF8.self)
        let kept = text.split(separator: "\n").filter { line in
            guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(line.utf8)),
                case .integer(let number)? = value["step"]
            else { return false }
            return number <= step
        }
        try OutputFile.write(Array(kept.map { $0 + "\n" }.joined().utf8), to: metrics)
    }

    /// Adds a line to the metrics.
    func log(_ line: [String: JSONValue]) throws {
        let text = try CanonicalJSON.text(JSONValue.object(line)) + "\n"
        guard let handle = FileHandle(forWritingAtPath: metrics) ?? Self.created(metrics) else {
            throw SystemError(file: metrics, operation: "open")
        }
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
    }

    private static func created(_ path: String) -> FileHandle? {
        FileManager.default.createFile(atPath: path, contents: nil) ? FileHandle(forWritingAtPath: path) : nil
    }
}
