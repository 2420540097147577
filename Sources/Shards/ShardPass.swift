import ArrowIPC
import Support

/// One pass over a shard's bytes: the digest of all, and whether the parts of each message are those that the index notes.
///
/// Not Sendable: one worker owns it.
struct ShardPass: ~Copyable {
    /// A record batch whose parts are not those that the index notes.
    struct Fault {
        var batch: Int
        var message: String
    }

    private let input: InputFile
    private let buffer: AlignedBuffer
    private let progress: (Int) throws -> Void
    private var position = 0
    private var state = StreamingDigest()
    /// What the index has wrong, if the shard's own digest fits; without meaning otherwise.
    private(set) var faults: [Fault] = []

    /// The digest of the bytes that have passed.
    var digest: Digest { state.digest }

    init(_ input: InputFile, buffer: AlignedBuffer, progress: @escaping (Int) throws -> Void) {
        self.input = input
        self.buffer = buffer
        self.progress = progress
    }

    /// Reads the whole file once.
    /// - Parameter batches: What the index says of the shard; messages without parts are only bytes.
    mutating func run(batches: [BatchRecord]) throws {
        let hasParts = batches.contains { !$0.parts.isEmpty }
        // A footer that cannot be read is damage that the shard's digest tells of.
        let schema = hasParts ? (try? ArrowFile(path: input.path))?.schema : nil
        let locator = try schema.map { try BufferLocator(schema: $0) }
        for (number, batch) in batches.enumerated() where !batch.parts.isEmpty {
            guard let locator, batch.offset >= position, batch.offset <= input.size,
                batch.bytes <= input.size - batch.offset
            else { continue }
            try advance(to: batch.offset)
            try take(batch.bytes)
            check(number, batch, buffer.bytes(batch.bytes), locator)
        }
        try advance(to: input.size)
    }

    private mutating func advance(to end: Int) throws {
        while position < end { try take(min(1 << 20, end - position)) }
    }

    private mutating func take(_ count: Int) throws {
        buffer.reserve(count)
        try input.read(at: position, into: UnsafeMutableRawBufferPointer(start: buffer.base, count: count))
        state.update(buffer.bytes(count))
        position += count
        try progress(count)
    }

    private mutating func check(
        _ number: Int, _ batch: BatchRecord, _ message: UnsafeRawBufferPointer, _ locator: BufferLocator
    ) {
        do {
            let found = try MessageDigests.parts(of: message, locator: locator)
            guard found != batch.parts else { return }
            guard let part = zip(found, batch.parts).enumerated().first(where: { $0.element.0 != $0.element.1 }) else {
                faults.append(Fault(batch: number, message: "\(batch.parts.count) parts, expected \(found.count)"))
                return
            }
            faults.append(
                Fault(
                    batch: number,
                    message: "digest \(part.element.1) for part \(part.offset), expected \(part.element.0)"))
        } catch {
            faults.append(Fault(batch: number, message: "parts for a message that has none: \(error)"))
        }
    }
}
