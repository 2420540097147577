import ArrowIPC

/// Which parts of a message are wanted, and where they come to lie in memory when only they are read.
///
/// Reused from message to message, it takes memory only for one with more parts than any before.
struct PartPlan {
    /// Bytes of the message that one call reads, and where they go.
    struct Run {
        var bytes: Range<Int>
        var place: Int
    }

    /// Runs that are closer than this are read as one: a call costs about as much as so many bytes.
    static let gap = 64 << 10

    private var parts = MessageParts()
    /// For each part the first slot that wants it, or -1.
    private var slots: [Int] = []
    private var places: [Int] = []
    /// What is to be read, in rising order.
    private(set) var runs: [Run] = []

    /// How many parts the message has.
    var count: Int { parts.count }

    /// The bytes of a part in the message.
    func bytes(ofPart part: Int) -> Range<Int> { parts[part] }

    /// The slot that a part is read for; nil if nobody wants it.
    func slot(ofPart part: Int) -> Int? { slots[part] < 0 ? nil : slots[part] }

    /// Finds the parts of a message, none of which is wanted yet.
    mutating func begin(_ header: BatchHeader) throws(ArrowError) {
        try parts.find(header)
        slots.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        runs.removeAll(keepingCapacity: true)
        for _ in 0..<parts.count {
            slots.append(-1)
            places.append(0)
        }
    }

    /// Wants the part that a buffer is.
    /// - Throws: `unsupported` if the buffer leads into the next one.
    mutating func want(_ buffer: StoredBuffer, slot: Int) throws(ArrowError) {
        guard !buffer.range.isEmpty else { return }
        let part = parts.part(containing: buffer.range.lowerBound)
        guard buffer.range.upperBound <= parts[part].upperBound else {
            throw ArrowError(
                .unsupported,
                message: "bytes \(buffer.range) of a buffer lead beyond its part, bytes \(parts[part]) of the message")
        }
        if slots[part] < 0 { slots[part] = slot }
    }

    /// Decides what is read together and where it goes; runs begin at multiples of 64.
    /// - Returns: How much memory they take.
    mutating func arrange() -> Int {
        var end = 0
        for part in 1..<max(1, parts.count) where slots[part] >= 0 {
            let bytes = parts[part]
            if let last = runs.last, bytes.lowerBound - last.bytes.upperBound < Self.gap {
                runs[runs.count - 1].bytes = last.bytes.lowerBound..<bytes.upperBound
            } else {
                runs.append(Run(bytes: bytes, place: (end + 63) & ~63))
            }
            let run = runs[runs.count - 1]
            places[part] = run.place + bytes.lowerBound - run.bytes.lowerBound
            end = run.place + run.bytes.count
        }
        return end
    }

    /// Where a byte of a wanted part lies in memory after `arrange`.
    func place(ofByte byte: Int) -> Int {
        let part = parts.part(containing: byte)
        return places[part] + byte - parts[part].lowerBound
    }
}
