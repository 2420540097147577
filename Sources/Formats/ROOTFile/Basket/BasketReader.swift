import Support

/// A basket in memory: entries and where they are.
struct BasketContent {
    /// Where entries begin.
    enum Offsets {
        /// Not stored.
        case none
        /// Big-endian, from the start of a key of so many bytes; only the bits of `mask` count.
        case starts(UnsafeRawPointer, headerBytes: Int, mask: Int32)
        /// Big-endian sizes, after a zero.
        case sizes(UnsafeRawPointer)
    }

    var entries: Int
    /// The values; behind them lie `ROOTScratch.slack` bytes that may be read.
    var data: UnsafeRawBufferPointer
    var offsets: Offsets
}

/// What reading needs besides its results: decompression contexts and memory, kept from basket to basket. Not Sendable: one
/// thread owns it.
public final class ROOTScratch {
    let decoder = ROOTDecoder()
    let stored = AlignedBuffer()
    let content = AlignedBuffer()
    let starts = AlignedBuffer()

    /// Bytes that may be read behind the values of a basket: kernels copy in whole blocks.
    static let slack = 64

    /// Memory for one thread.
    public init() {}
}

extension BasketTable {
    /// Reads a basket.
    /// - Parameter memory: Where its content goes, which then lasts as long; nil: into `scratch`, until the next one.
    func read(
        _ number: Int, of file: InputFile, using scratch: ROOTScratch, keepingIn memory: AlignedBuffer? = nil
    ) throws(ROOTError) -> BasketContent {
        do throws(ROOTError) {
            let content =
                number < places.count
                ? try readStored(number, file, scratch, memory)
                : try readEmbedded(embedded[number - places.count], scratch)
            let expected = starts[number + 1] - starts[number]
            guard content.entries == expected else {
                throw ROOTError(
                    .damaged, message: "it holds \(content.entries) entries, expected \(expected)",
                    advice: ByteCursor.advice)
            }
            return content
        } catch {
            throw error.inside(place(number))
        }
    }

    private func readStored(
        _ number: Int, _ file: InputFile, _ scratch: ROOTScratch, _ memory: AlignedBuffer?
    ) throws(ROOTError) -> BasketContent {
        let place = places[number], size = sizes[number]
        guard place > 0, size > 0, place <= file.size, size <= file.size - place else {
            throw ROOTError(
                .truncated, message: "\(size) bytes do not fit a file of \(file.size)", advice: ByteCursor.advice)
        }
        scratch.stored.reserve(size + ROOTScratch.slack)
        let record = UnsafeMutableRawBufferPointer(start: scratch.stored.base, count: size)
        do throws(SystemError) { try file.read(at: place, into: record) } catch { throw ROOTError(error) }
        var cursor = ByteCursor(UnsafeRawBufferPointer(record), from: .file(place))
        let key = try BasketKey(&cursor)
        guard key.isBasket, key.recordBytes == size, key.place == place, key.headerBytes >= 26, key.headerBytes <= size,
            cursor.position <= key.headerBytes
        else {
            throw cursor.damaged("there should be a basket of \(size) bytes, but its key says otherwise")
        }
        let values = key.end - key.headerBytes
        guard values >= 0, values <= key.payloadBytes, key.payloadBytes <= limit else {
            throw cursor.damaged(
                "\(values) bytes of values in \(key.payloadBytes); a basket of this branch has at most \(limit)")
        }
        let payload = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(record)[key.headerBytes...])
        var content = payload
        if ROOTDecoder.isCompressed(stored: payload.count, count: key.payloadBytes) {
            // Before memory is taken: whether so many bytes can be in there.
            try ROOTDecoder.check(payload, holds: key.payloadBytes)
            let memory = memory ?? scratch.content
            memory.reserve(key.payloadBytes + ROOTScratch.slack)
            let target = UnsafeMutableRawBufferPointer(start: memory.base, count: key.payloadBytes)
            try scratch.decoder.decompress(payload, into: target)
            content = UnsafeRawBufferPointer(target)
        } else if let memory {
            memory.reserve(payload.count + ROOTScratch.slack)
            if let from = payload.baseAddress { memory.base.copyMemory(from: from, byteCount: payload.count) }
            content = memory.bytes(payload.count)
        }
        let data = UnsafeRawBufferPointer(rebasing: content[..<values])
        guard let start = content.baseAddress else {
            return BasketContent(entries: key.entries, data: data, offsets: .none)
        }
        var offsets = BasketContent.Offsets.none
        // What follows the values are offsets, if the branch has any; their last number means nothing.
        if key.payloadBytes - values >= 4, hasOffsets, key.flag < 80 {
            let count = Int(Int32(bigEndian: (start + values).loadUnaligned(as: Int32.self)))
            guard count >= key.entries, count <= (key.payloadBytes - values - 4) / 4 else {
                throw cursor.damaged("offsets of \(count) entries, there are \(key.entries)")
            }
            let place = start + values + 4
            offsets =
                key.features & 1 != 0
                ? .sizes(place) : .starts(place, headerBytes: key.headerBytes, mask: -1)
            if key.features & 1 != 0, count < key.entries + 1 {
                throw cursor.damaged("sizes of \(count - 1) entries, there are \(key.entries)")
            }
        }
        return BasketContent(entries: key.entries, data: data, offsets: offsets)
    }

    private func readEmbedded(_ basket: Embedded, _ scratch: ROOTScratch) throws(ROOTError) -> BasketContent {
        // Copied, so that there may be read behind its end too.
        let offsets = basket.offsets ?? 0..<0
        scratch.content.reserve(basket.data.count + offsets.count + 2 * ROOTScratch.slack)
        var cursor = try payload.cursor(basket.data)
        let data = try cursor.nextBytes(basket.data.count)
        var target = scratch.content.base
        if let from = data.baseAddress { target.copyMemory(from: from, byteCount: data.count) }
        let values = UnsafeRawBufferPointer(start: target, count: data.count)
        guard basket.offsets != nil else {
            return BasketContent(entries: basket.entries, data: values, offsets: .none)
        }
        cursor = try payload.cursor(offsets)
        target += data.count + ROOTScratch.slack
        if let from = try cursor.nextBytes(offsets.count).baseAddress {
            target.copyMemory(from: from, byteCount: offsets.count)
        }
        return BasketContent(
            entries: basket.entries, data: values,
            offsets: .starts(target, headerBytes: basket.headerBytes, mask: basket.mask))
    }
}
