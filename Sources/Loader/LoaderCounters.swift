import Glibc

/// What a loader has done so far: always counted.
public struct LoaderCounters: Codable, Sendable, Equatable {
    /// Record batches that were read and decoded.
    public var recordBatches = 0
    /// Bytes of them in the shards.
    public var storedBytes = 0
    /// Bytes of the columns that they were decompressed to.
    public var decodedBytes = 0
    /// Batches that were handed out.
    public var batches = 0
    /// Seconds that the consumer has waited for batches.
    public var stalled = 0.0

    /// Nothing yet.
    public init() {}

    mutating func add(_ counts: StoredReader.Counts, since before: StoredReader.Counts) {
        recordBatches += counts.batches - before.batches
        storedBytes += counts.bytes - before.bytes
        decodedBytes += counts.decoded - before.decoded
    }

    /// Seconds of a clock that only goes forward.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
