import Support

/// The parts of a record batch's message: consecutive ranges that cover each of its bytes.
///
/// Part 0 is the metadata. Then one part for each buffer that has bytes, each once, in the order of the body: from its start
/// to the start of the next one, so that padding belongs to the buffer before it. Bytes of the body before the first
/// buffer belong to the first of these parts; a body without buffers is one part.
///
/// Reused from message to message, it takes memory only for one with more parts than any before.
public struct MessageParts: Sendable {
    private var starts: [Int] = [0]
    private var end = 0

    /// The parts of no message yet.
    public init() {}

    /// How many parts there are.
    public var count: Int { starts.count }

    /// The bytes of a part, counted from the start of the message.
    public subscript(part: Int) -> Range<Int> {
        starts[part]..<(part + 1 < starts.count ? starts[part + 1] : end)
    }

    /// The part that a byte of the message is in.
    public func part(containing byte: Int) -> Int { firstStart(after: byte) - 1 }

    /// Finds the parts of the message with this header.
    /// - Throws: `damaged` if a buffer lies outside the body; `unsupported` if the buffers do not lie in the order in which
    ///   the metadata first names them, as those of `RecordBatchEncoder` do.
    public mutating func find(_ header: BatchHeader) throws(ArrowError) {
        starts.removeAll(keepingCapacity: true)
        starts.append(0)
        end = header.metadataLength + header.bodyLength
        for index in 0..<header.bufferCount {
            guard let range = header.range(ofBuffer: index) else {
                throw ArrowError(
                    .damaged, message: "buffer \(index) lies outside the body of \(header.bodyLength) bytes")
            }
            if !range.isEmpty { try append(range.lowerBound, buffer: index) }
        }
        if starts.count > 1 {
            starts[1] = header.metadataLength
        } else if header.bodyLength > 0 {
            starts.append(header.metadataLength)
        }
    }

    private mutating func append(_ start: Int, buffer: Int) throws(ArrowError) {
        guard let last = starts.last, start <= last else {
            starts.append(start)
            return
        }
        // Lists that share their offsets name them again.
        let before = firstStart(after: start) - 1
        guard before > 0, starts[before] == start else {
            throw ArrowError(
                .unsupported, message: "buffer \(buffer) lies before the ones that the metadata names before it")
        }
    }

    /// The first part that begins behind a byte.
    private func firstStart(after byte: Int) -> Int {
        var low = 0, high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= byte { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
