/// A shard whose record batches are all written. One thread finishes it, while others already write the next one.
///
/// Not Sendable: the thread that got it keeps it.
public final class FullShard {
    let number: Int
    private let writer: ShardWriter
    private(set) var record: ShardRecord?

    init(number: Int, writer: ShardWriter) {
        self.number = number
        self.writer = writer
    }

    /// Writes the footer, reads the shard back, makes its parity and gives it its name.
    /// - Throws: `DatasetError` if what was read back is not what was written; `SystemError`.
    public func finish(_ clock: StageClock) throws {
        record = try writer.finish(clock)
    }
}
