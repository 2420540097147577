import ArrowIPC
import Support

/// A record batch that is ready to be written, with what the index and the catalogue want to know of it.
public struct FinishedBatch: Sendable {
    /// The message to write.
    public var message: EncodedRecordBatch
    /// XXH3-64 of the message.
    public var digest: Digest
    /// XXH3-64 of each part of the message.
    public var parts: [Digest]
    /// XXH3-64 over the digests of the original columns.
    public var content: Digest
    /// Constituents of all its jets.
    public var constituents: Int
    /// Ranges of the key columns.
    public var keys: [KeyRange]
    /// Statistics of each column.
    public var statistics: [ColumnStatistics]
    /// Exceptions by constituent field.
    public var exceptions: [Int]
    /// Jets that fill all slots of the source.
    public var fullJets: Int
    /// Jets without constituents.
    public var emptyJets: Int
    /// Jets in each split.
    public var splitRows: [Int]
    /// Rows of the inputs that should be here and are not.
    public var gaps: [Gap]

    /// A batch from its parts; the digests of the message's own parts are taken here, while its bytes are in the cache.
    public init(
        message: EncodedRecordBatch, digest: Digest, content: Digest, constituents: Int, keys: [KeyRange],
        statistics: [ColumnStatistics], exceptions: [Int], fullJets: Int, emptyJets: Int,
        splitRows: [Int], gaps: [Gap] = []
    ) {
        self.message = message
        parts = message.bytes.withUnsafeBytes { bytes in
            message.parts.map { Digest(of: UnsafeRawBufferPointer(rebasing: bytes[$0])) }
        }
        self.digest = digest
        self.content = content
        self.constituents = constituents
        self.keys = keys
        self.statistics = statistics
        self.exceptions = exceptions
        self.fullJets = fullJets
        self.emptyJets = emptyJets
        self.splitRows = splitRows
        self.gaps = gaps
    }
}
