import Foundation
import Glibc
import Support

/// What an unfinished conversion has done: one line a shard, each flushed to disk and under a digest of its own.
///
/// The first line says which work it is. A last line that was torn by a kill is ignored, and so is what it told of.
final class Ledger {
    static let fileName = "ledger/shards.jsonl"
    private let path: String
    private var descriptor: Int32
    /// The shards that were finished before.
    let records: [ShardRecord]

    /// Opens the ledger of a dataset's directory, or begins one.
    /// - Parameters:
    ///   - work: Identifies inputs, options and versions, on one line.
    ///   - explain: Says what differs, given the work that was begun.
    ///   - isPresent: Whether a shard's files are there; the first one that is not ends what was done.
    /// - Throws: `DatasetError` with code `occupied` if the ledger is of other work.
    init(directory: String, work: String, explain: (String) -> String, isPresent: (ShardRecord) -> Bool) throws {
        path = "\(directory)/\(Self.fileName)"
        descriptor = -1
        var kept: [ShardRecord] = []
        var length = 0
        if Directory.exists(path) {
            let lines = try Self.lines(InputFile(path: path).readAll())
            if let first = lines.first {
                guard first.content == work else {
                    throw DatasetError(
                        .occupied, file: directory,
                        message:
                            "holds an unfinished conversion that does not go with this one: \(explain(first.content))",
                        advice: "finish that one as it was begun, or remove the directory")
                }
                length = first.end
                for line in lines.dropFirst() {
                    guard let record = try? JSONDecoder().decode(ShardRecord.self, from: Data(line.content.utf8)),
                        isPresent(record)
                    else { break }
                    kept.append(record)
                    length = line.end
                }
            }
        }
        records = kept
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "create") }
        guard ftruncate(descriptor, off_t(length)) == 0, lseek(descriptor, off_t(length), SEEK_SET) >= 0 else {
            throw SystemError(file: path, operation: "continue")
        }
        if length == 0 { try append(work) }
        try Directory.flush("\(directory)/ledger")
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Notes a finished shard.
    func append(_ record: ShardRecord) throws {
        try append(CanonicalJSON.text(record))
    }

    private func append(_ content: String) throws {
        let line = Array("\(Digest(of: Array(content.utf8))) \(content)\n".utf8)
        var done = 0
        while done < line.count {
            let written = line.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + done }, line.count - done)
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw SystemError(file: path, operation: "write") }
            done += written
        }
        guard fsync(descriptor) == 0 else { throw SystemError(file: path, operation: "flush to disk") }
    }

    /// The lines whose digest fits, up to the first one that does not.
    static func lines(_ bytes: [UInt8]) -> [(content: String, end: Int)] {
        var lines: [(String, Int)] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = bytes[start..<end]
            guard line.count > 17, let digest = Digest(hex: String(decoding: line.prefix(16), as: UTF8.self)),
                Digest(of: Array(line.dropFirst(17))) == digest
            else { break }
            lines.append((String(decoding: line.dropFirst(17), as: UTF8.self), end + 1))
            start = end + 1
        }
        return lines
    }
}
