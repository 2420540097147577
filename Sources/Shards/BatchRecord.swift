import ArrowIPC
import Support

/// What the index says of one record batch.
public struct BatchRecord: Codable, Sendable, Equatable {
    /// Where its message begins in the shard.
    public var offset: Int
    /// Bytes of the message's metadata.
    public var metadataBytes: Int
    /// Bytes of the message's body.
    public var bodyBytes: Int
    /// Jets.
    public var rows: Int
    /// Constituents of all its jets.
    public var constituents: Int
    /// XXH3-64 of the message's bytes, metadata, body and padding.
    public var digest: Digest
    /// XXH3-64 over the digests of the original columns.
    public var content: Digest
    /// Smallest and largest value of each key column.
    public var keys: [KeyRange]
    /// Jets in each split; empty if the dataset has no splits.
    public var splits: [Int]
    /// XXH3-64 of each part of the message (`MessageParts`); empty if nobody noted them, as in older datasets.
    public var parts: [Digest]

    /// Bytes of the whole message.
    public var bytes: Int { metadataBytes + bodyBytes }

    /// A record from its parts.
    public init(
        offset: Int, metadataBytes: Int, bodyBytes: Int, rows: Int, constituents: Int, digest: Digest, content: Digest,
        keys: [KeyRange], splits: [Int], parts: [Digest] = []
    ) {
        self.offset = offset
        self.metadataBytes = metadataBytes
        self.bodyBytes = bodyBytes
        self.rows = rows
        self.constituents = constituents
        self.digest = digest
        self.content = content
        self.keys = keys
        self.splits = splits
        self.parts = parts
    }
}

extension BatchRecord {
    private enum CodingKeys: CodingKey {
        case offset, metadataBytes, bodyBytes, rows, constituents, digest, content, keys, splits, parts
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        offset = try values.decode(Int.self, forKey: .offset)
        metadataBytes = try values.decode(Int.self, forKey: .metadataBytes)
        bodyBytes = try values.decode(Int.self, forKey: .bodyBytes)
        rows = try values.decode(Int.self, forKey: .rows)
        constituents = try values.decode(Int.self, forKey: .constituents)
        digest = try values.decode(Digest.self, forKey: .digest)
        content = try values.decode(Digest.self, forKey: .content)
        keys = try values.decode([KeyRange].self, forKey: .keys)
        splits = try values.decode([Int].self, forKey: .splits)
        parts = try values.decodeIfPresent([Digest].self, forKey: .parts) ?? []
    }

    /// Footers never hold parts, so that a shard has the same bytes whether an index notes them or not.
    var inFooter: BatchRecord {
        var record = self
        record.parts = []
        return record
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(offset, forKey: .offset)
        try values.encode(metadataBytes, forKey: .metadataBytes)
        try values.encode(bodyBytes, forKey: .bodyBytes)
        try values.encode(rows, forKey: .rows)
        try values.encode(constituents, forKey: .constituents)
        try values.encode(digest, forKey: .digest)
        try values.encode(content, forKey: .content)
        try values.encode(keys, forKey: .keys)
        try values.encode(splits, forKey: .splits)
        if !parts.isEmpty { try values.encode(parts, forKey: .parts) }
    }
}

/// The smallest and largest value of a key column in a record batch.
public enum KeyRange: Codable, Sendable, Equatable {
    /// An integer column.
    case integer(Int64, Int64)
    /// A floating point column; finite values only, `nan` if there is none.
    case number(Double, Double)

    /// Whether the value may be in the batch.
    public func contains(_ value: Int64) -> Bool {
        switch self {
        case .integer(let low, let high): low <= value && value <= high
        case .number(let low, let high): low <= Double(value) && Double(value) <= high
        }
    }

    public init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        if try container.decode(String.self) == "i" {
            self = .integer(try container.decode(Int64.self), try container.decode(Int64.self))
        } else {
            let low = try container.decode(UInt64.self)
            self = .number(Double(bitPattern: low), Double(bitPattern: try container.decode(UInt64.self)))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        switch self {
        case .integer(let low, let high):
            try container.encode("i")
            try container.encode(low)
            try container.encode(high)
        case .number(let low, let high):
            // As bits: NaN has no number in JSON, and the ledger must give the very same value back.
            try container.encode("f")
            try container.encode(low.bitPattern)
            try container.encode(high.bitPattern)
        }
    }
}

/// What is known of a shard once it is written: a line of the ledger, and what the catalogue and the index are made of.
public struct ShardRecord: Codable, Sendable, Equatable {
    /// The catalogue's entry.
    public var entry: ShardEntry
    /// Its record batches.
    public var batches: [BatchRecord]
    /// The file with its parity, if it has one.
    public var parity: FileEntry?
    /// Statistics of each column, in the order of the columns.
    public var statistics: [ColumnStatistics]
    /// Stored bytes of each column.
    public var columnBytes: [Int]
    /// Rows of the inputs that should be here and are not.
    public var gaps: [Gap]
    /// Exceptions by constituent field.
    public var exceptions: [Int]
    /// Jets that fill all slots of the source.
    public var fullJets: Int
    /// Jets without constituents; nil: written by a program that did not count them.
    public var emptyJets: Int?
}
