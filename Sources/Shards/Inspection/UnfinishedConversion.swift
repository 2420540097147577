import Foundation
import Support

/// What the directory of an unfinished conversion says of it.
public struct UnfinishedConversion: Encodable, Sendable {
    /// Always `unfinished`.
    public let kind = "unfinished"
    /// The directory.
    public var path: String
    /// Whether a claim lies on it: a converter runs, or died without giving it up.
    public var isClaimed: Bool
    /// Inputs by name.
    public var inputs: [String]
    /// Jets that the finished dataset will have; nil if the ledger does not say.
    public var rows: Int?
    /// Shards that are finished.
    public var shardsDone: Int
    /// Jets in them.
    public var rowsDone: Int
    /// Bytes of them.
    public var bytesDone: Int
    /// The options that it was begun with.
    public var options: [String: String]

    private struct Work: Decodable {
        struct Input: Decodable { var entry: InputEntry }
        var inputs: [Input]
        var options: [String: String]
    }

    /// Reads claim and ledger; nil if there is neither.
    /// - Throws: `SystemError` if the ledger cannot be read.
    public init?(directory: String) throws {
        let path = "\(directory)/\(Ledger.fileName)"
        isClaimed = Directory.exists("\(directory)/\(Claim.fileName)")
        let hasLedger = Directory.exists(path)
        guard isClaimed || hasLedger || Directory.isDirectory("\(directory)/ledger") else { return nil }
        self.path = directory
        let lines = hasLedger ? Ledger.lines(try InputFile(path: path).readAll()).map(\.content) : []
        let work = lines.first.flatMap { try? JSONDecoder().decode(Work.self, from: Data($0.utf8)) }
        let records = lines.dropFirst().compactMap {
            try? JSONDecoder().decode(ShardRecord.self, from: Data($0.utf8))
        }
        inputs = work?.inputs.map(\.entry.name) ?? []
        options = work?.options ?? [:]
        rows = work?.inputs.reduce(0) { $0 &+ $1.entry.rowsTaken }
        shardsDone = records.count
        rowsDone = records.reduce(0) { $0 &+ $1.entry.rows }
        bytesDone = records.reduce(0) { $0 &+ $1.entry.bytes }
    }
}
