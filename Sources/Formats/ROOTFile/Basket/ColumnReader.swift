import Kernels
import Support

/// Reads columns of a tree for ranges of entries. Not Sendable: one thread uses it.
struct ColumnReader {
    let file: InputFile
    let scratch: ROOTScratch
    /// Baskets that are in memory already.
    let shared: SharedBaskets.Found

    /// Items before each entry of a range, as the counting branch says.
    final class Counts {
        let entries: Range<Int>
        private let places: AlignedBuffer
        /// The same from 0 on, for the columns that are read for these entries.
        private var rebased: (entries: Range<Int>, places: AlignedBuffer)?

        init(entries: Range<Int>, places: AlignedBuffer) {
            self.entries = entries
            self.places = places
        }

        /// Items before each of some of the entries and in all of them, from 0 on; columns share the memory.
        func offsets(_ wanted: Range<Int>) -> AlignedBuffer {
            if wanted == entries { return places }
            if let rebased, rebased.entries == wanted { return rebased.places }
            let fresh = AlignedBuffer(capacity: (wanted.count + 1) * 8)
            let target = fresh.base.assumingMemoryBound(to: Int64.self), source = from(wanted.lowerBound)
            for index in 0...wanted.count { target[index] = source[index] - source[0] }
            rebased = (wanted, fresh)
            return fresh
        }

        /// The numbers from that of an entry on.
        func from(_ entry: Int) -> UnsafeMutablePointer<Int64> {
            places.base.assumingMemoryBound(to: Int64.self) + (entry - entries.lowerBound)
        }
    }

    /// The entries that must be counted so that a column's can be found in its baskets.
    static func countedEntries(_ column: ROOTColumn, _ entries: Range<Int>) -> Range<Int> {
        let baskets = column.baskets.numbers(overlapping: entries)
        guard !baskets.isEmpty else { return entries }
        return column.baskets.starts[baskets.lowerBound]..<column.baskets.starts[baskets.upperBound]
    }

    /// Reads a counting branch.
    func counts(_ column: ROOTColumn, _ entries: Range<Int>) throws(ROOTError) -> Counts {
        let values = try read(column, entries, counts: nil)
        let places = AlignedBuffer(capacity: (entries.count + 1) * 8)
        let numbers = places.base.assumingMemoryBound(to: Int64.self)
        numbers[0] = 0
        var isSound = true
        switch column.element {
        case .int32, .uint32:
            let counts = values.bytes.baseAddress?.assumingMemoryBound(to: Int32.self)
            if let counts {
                isSound = pando_root_sum_counts(counts, entries.count, column.element == .int32 ? 1 : 0, numbers) != 0
            }
        default:
            for (index, count) in Self.integers(values).enumerated() {
                // Larger ones than a basket's bytes would be found wrong; these must not overflow.
                isSound = isSound && (0...Int64(UInt32.max)).contains(count)
                numbers[index + 1] = numbers[index] &+ count
            }
        }
        guard isSound else {
            throw ROOTError(.damaged, place: "branch \(column.name)", message: "counts less than nothing")
        }
        return Counts(entries: entries, places: places)
    }

    private static func integers(_ values: ROOTValues) -> [Int64] {
        switch values.element {
        case .int8: values.values(as: Int8.self).map(Int64.init)
        case .uint8, .bool: values.values(as: UInt8.self).map(Int64.init)
        case .int16: values.values(as: Int16.self).map(Int64.init)
        case .uint16: values.values(as: UInt16.self).map(Int64.init)
        case .int64: values.values(as: Int64.self).map { $0 }
        case .uint64: values.values(as: UInt64.self).map { Int64(bitPattern: $0) }
        default: []
        }
    }

    /// Reads a column.
    /// - Parameter counts: Of the counting branch, for all entries of the baskets that `entries` touch.
    func read(_ column: ROOTColumn, _ entries: Range<Int>, counts: Counts?) throws(ROOTError) -> ROOTValues {
        do throws(ROOTError) {
            guard entries.upperBound <= column.entries else {
                throw ROOTError(
                    .damaged, message: "has \(column.entries) entries, \(entries.upperBound) are asked for",
                    advice: "branches of this tree are of unequal length: read fewer entries or other branches")
            }
            let numbers = column.baskets.numbers(overlapping: entries)
            let stored = try column.baskets.storedBytes(numbers, fileSize: file.size)
            var output = Output(column, entries, storedBytes: stored)
            for number in numbers {
                let starts = column.baskets.starts
                let whole = starts[number]..<starts[number + 1], wanted = whole.clamped(to: entries)
                guard !wanted.isEmpty else { continue }
                let known = try known(column, number)
                let content: BasketContent
                if let known {
                    content = known.content
                } else {
                    content = try column.baskets.read(number, of: file, using: scratch)
                }
                defer { withExtendedLifetime(known) {} }
                do throws(ROOTError) {
                    try output.append(
                        content, wanted.lowerBound - whole.lowerBound..<wanted.upperBound - whole.lowerBound,
                        counts: counts?.from(whole.lowerBound), scratch)
                } catch {
                    throw error.inside(column.baskets.place(number))
                }
            }
            return output.values(counts)
        } catch {
            throw error.inside("branch \(column.name)")
        }
    }

    private func known(_ column: ROOTColumn, _ number: Int) throws(ROOTError) -> SharedBaskets.Decoded? {
        switch shared[SharedBaskets.Key(slot: column.slot, number: number)] {
        case .success(let found): return found
        case .failure(let error):
            if let error = error as? ROOTError { throw error }
            return nil
        case nil: return nil
        }
    }
}

/// Values of a column as they come in, basket by basket.
private struct Output {
    private let column: ROOTColumn
    private let entries: Range<Int>
    private let memory: AlignedBuffer
    private let places: AlignedBuffer?
    private var count = 0
    private var entry = 0

    init(_ column: ROOTColumn, _ entries: Range<Int>, storedBytes: Int) {
        self.column = column
        self.entries = entries
        // A guess that spares growing, bounded by the bytes that are there whatever the writer says of them.
        var share = column.entries > 0 ? Double(entries.count) / Double(column.entries) : 0,
            most = 8 * Double(storedBytes)
        if case .fixed(let stride, _) = column.layout, stride > 0 {
            // One leaf of several has its part of the bytes.
            let part = Double(column.itemValues * column.diskWidth) / Double(stride)
            share *= part
            most *= part
        }
        let likely = min(share * Double(max(0, column.bytes)), most)
        memory = AlignedBuffer(capacity: Int(likely) + 4096)
        switch column.layout {
        case .fixed, .counted: places = nil
        case .countedPointer, .vector, .string:
            places = AlignedBuffer(capacity: 8)
        }
        places?.base.storeBytes(of: 0, as: Int64.self)
    }

    private var width: Int { column.element.width }

    /// Takes in some entries of a basket.
    mutating func append(
        _ basket: BasketContent, _ wanted: Range<Int>, counts: UnsafeMutablePointer<Int64>?, _ scratch: ROOTScratch
    ) throws(ROOTError) {
        switch column.layout {
        case .fixed(let stride, let offset): try appendFixed(basket, wanted, stride: stride, offset: offset)
        case .counted: try appendCounted(basket, wanted, counts, scratch)
        case .countedPointer: try appendPointers(basket, wanted, counts, scratch)
        case .vector: try appendVectors(basket, wanted, scratch)
        case .string(let header): try appendStrings(basket, wanted, header: header, scratch)
        }
        entry += wanted.count
    }

    /// Makes room for more values.
    private mutating func room(_ values: Int) -> UnsafeMutableRawPointer {
        memory.reserve((count + values) * width + ROOTScratch.slack, keeping: count * width)
        return memory.base + count * width
    }

    /// Makes room for more entries' places, and gives the place of the first new one's beginning.
    private func placesRoom(_ more: Int) -> UnsafeMutablePointer<Int64> {
        guard let places else { return memory.base.assumingMemoryBound(to: Int64.self) }
        places.reserve((entry + more + 1) * 8, keeping: (entry + 1) * 8)
        return places.base.assumingMemoryBound(to: Int64.self) + entry
    }

    private mutating func copy(_ from: UnsafeRawPointer, _ values: Int) {
        let target = room(values)
        if let packing = column.packing {
            for index in 0..<values {
                let value = packing.value(at: from + index * packing.width)
                if width == 4 {
                    target.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self)
                } else {
                    target.storeBytes(of: value, toByteOffset: index * 8, as: Double.self)
                }
            }
        } else if column.element == .bool {
            let bytes = target.assumingMemoryBound(to: UInt8.self)
            for index in 0..<values { bytes[index] = (from + index).load(as: UInt8.self) != 0 ? 1 : 0 }
        } else {
            pando_root_swap(target, from, values, width)
        }
        count += values
    }

    private mutating func appendFixed(
        _ basket: BasketContent, _ wanted: Range<Int>, stride: Int, offset: Int
    ) throws(ROOTError) {
        let items = column.itemValues, bytes = items * column.diskWidth
        let (all, overflow) = basket.entries.multipliedReportingOverflow(by: stride)
        guard !overflow, basket.data.count == all else {
            throw damaged("\(basket.data.count) bytes for \(basket.entries) entries of \(stride)")
        }
        guard let data = basket.data.baseAddress else { return }
        if stride == bytes {
            copy(data + wanted.lowerBound * stride, wanted.count * items)
        } else {
            for index in wanted { copy(data + index * stride + offset, items) }
        }
    }

    /// Fills `scratch.starts` with where the entries begin and the last one ends.
    private func starts(_ basket: BasketContent, _ scratch: ROOTScratch) throws(ROOTError) -> UnsafeMutablePointer<
        Int32
    >? {
        guard let bytes = Int32(exactly: basket.data.count) else { throw damaged("\(basket.data.count) bytes") }
        /// Room for as many numbers as are stored.
        func room() -> UnsafeMutablePointer<Int32> {
            scratch.starts.reserve((basket.entries + 1) * 4)
            return scratch.starts.base.assumingMemoryBound(to: Int32.self)
        }
        let starts: UnsafeMutablePointer<Int32>, isSound: Bool
        switch basket.offsets {
        case .none: return nil
        case .starts(let stored, let headerBytes, let mask):
            starts = room()
            isSound =
                pando_root_starts(
                    stored, basket.entries, Int32(truncatingIfNeeded: headerBytes), mask, bytes, starts) != 0
        case .sizes(let stored):
            starts = room()
            isSound = pando_root_starts_of_sizes(stored, basket.entries, bytes, starts) != 0
        }
        guard isSound else { throw damaged("its entries do not begin one after the other in \(bytes) bytes") }
        return starts
    }

    private mutating func appendCounted(
        _ basket: BasketContent, _ wanted: Range<Int>, _ counts: UnsafeMutablePointer<Int64>?, _ scratch: ROOTScratch
    ) throws(ROOTError) {
        guard let counts else { throw ROOTError(.usage, message: "is counted by another branch, which was not read") }
        let items = column.itemValues, bytes = items * column.diskWidth
        let (all, overflow) = Int(counts[basket.entries] &- counts[0]).multipliedReportingOverflow(by: bytes)
        guard !overflow, all == basket.data.count else {
            throw damaged(
                "\(basket.data.count) bytes, but \(column.counters.first?.name ?? "its counter") counts "
                    + "\(counts[basket.entries] &- counts[0]) items of \(bytes)")
        }
        if let starts = try starts(basket, scratch) {
            let found = pando_root_check_starts(starts, counts, basket.entries, Int64(bytes))
            guard found > basket.entries else {
                throw damaged(
                    "its entry \(found) begins at byte \(starts[found]), by \(column.counters.first?.name ?? "its counter") "
                        + "it should be at \((counts[found] &- counts[0]) &* Int64(bytes))")
            }
        }
        guard let data = basket.data.baseAddress else { return }
        let before = Int(counts[wanted.lowerBound] - counts[0])
        let many = Int(counts[wanted.upperBound] - counts[wanted.lowerBound])
        copy(data + before * bytes, many * items)
    }

    private mutating func appendPointers(
        _ basket: BasketContent, _ wanted: Range<Int>, _ counts: UnsafeMutablePointer<Int64>?, _ scratch: ROOTScratch
    ) throws(ROOTError) {
        let items = column.itemValues, bytes = items * column.diskWidth
        guard let starts = try starts(basket, scratch), let data = basket.data.baseAddress else {
            guard basket.entries > 0 else { return }
            throw ROOTError(.unsupported, message: "counted pointers without stored offsets")
        }
        let places = placesRoom(wanted.count)
        for (number, index) in wanted.enumerated() {
            let start = Int(starts[index]), length = Int(starts[index + 1]) - start
            guard length >= 1, (length - 1) % bytes == 0 else {
                throw damaged("its entry \(index) has \(length) bytes, expected 1 and a multiple of \(bytes)")
            }
            let many = (data + start).load(as: UInt8.self) == 0 ? 0 : (length - 1) / bytes
            copy(data + start + 1, many * items)
            places[number + 1] = places[number] + Int64(many)
        }
    }

    private mutating func appendVectors(
        _ basket: BasketContent, _ wanted: Range<Int>, _ scratch: ROOTScratch
    ) throws(ROOTError) {
        guard let data = basket.data.baseAddress else {
            guard basket.entries == 0 else { throw damaged("no bytes for \(basket.entries) vectors") }
            return
        }
        let starts: UnsafeMutablePointer<Int32>
        if let stored = try self.starts(basket, scratch) {
            starts = stored
        } else {
            starts = try walkVectors(basket, scratch)
        }
        let places = placesRoom(wanted.count)
        let target = room(Int(starts[wanted.upperBound] - starts[wanted.lowerBound]) / width)
        let sound = pando_root_vectors(data, starts + wanted.lowerBound, wanted.count, width, places, target)
        guard sound == wanted.count else {
            let index = wanted.lowerBound + sound
            if starts[index + 1] - starts[index] > 4, (data + Int(starts[index]) + 4).load(as: UInt8.self) & 0x40 != 0 {
                throw ROOTError(
                    .unsupported, message: "its entry \(index) is stored member by member: not read")
            }
            throw damaged(
                "its entry \(index) of \(starts[index + 1] - starts[index]) bytes does not hold a vector of \(column.element)"
            )
        }
        let end = Int(places[wanted.count])
        if column.element == .bool {
            let bytes = memory.base.assumingMemoryBound(to: UInt8.self)
            for index in count..<end { bytes[index] = bytes[index] != 0 ? 1 : 0 }
        }
        count = end
    }

    /// Where vectors begin, by their byte counts.
    private func walkVectors(_ basket: BasketContent, _ scratch: ROOTScratch) throws(ROOTError) -> UnsafeMutablePointer<
        Int32
    > {
        // Each takes six bytes at least.
        guard basket.entries <= basket.data.count / 6 else {
            throw damaged("\(basket.data.count) bytes for \(basket.entries) vectors")
        }
        scratch.starts.reserve((basket.entries + 1) * 4)
        let starts = scratch.starts.base.assumingMemoryBound(to: Int32.self)
        var cursor = ByteCursor(basket.data, from: .values)
        for index in 0..<basket.entries {
            starts[index] = Int32(truncatingIfNeeded: cursor.position)
            try cursor.move(to: cursor.frame().end)
        }
        guard cursor.left == 0, cursor.position <= Int(Int32.max) else {
            throw damaged("\(cursor.left) bytes are left")
        }
        starts[basket.entries] = Int32(cursor.position)
        return starts
    }

    private mutating func appendStrings(
        _ basket: BasketContent, _ wanted: Range<Int>, header: Int, _ scratch: ROOTScratch
    ) throws(ROOTError) {
        var cursor = ByteCursor(basket.data, from: .values)
        let starts = try starts(basket, scratch)
        guard starts != nil || basket.entries <= basket.data.count else {
            throw damaged("\(basket.data.count) bytes for \(basket.entries) texts")
        }
        let places = placesRoom(wanted.count)
        for index in 0..<basket.entries {
            guard index < wanted.upperBound else { break }
            let end = starts.map { Int($0[index + 1]) }
            if let starts {
                // Of an empty text nothing at all may be stored.
                cursor = try ByteCursor(basket.data, from: .values).part(Int(starts[index])..<Int(starts[index + 1]))
            }
            var text = UnsafeRawBufferPointer(start: nil, count: 0)
            if end == nil || cursor.left > 0 {
                try cursor.skip(header)
                text = try cursor.nextTextBytes()
                guard starts == nil || cursor.left == 0 else {
                    throw damaged("the text of its entry \(index) ends \(cursor.left) bytes before the entry")
                }
            }
            guard index >= wanted.lowerBound else { continue }
            let target = room(text.count)
            if let from = text.baseAddress { target.copyMemory(from: from, byteCount: text.count) }
            count += text.count
            places[index - wanted.lowerBound + 1] = Int64(count)
        }
        guard starts != nil || wanted.upperBound < basket.entries || cursor.left == 0 else {
            throw damaged("\(cursor.left) bytes are left behind its \(basket.entries) texts")
        }
    }

    private func damaged(_ message: String) -> ROOTError {
        ROOTError(.damaged, message: message, advice: ByteCursor.advice)
    }

    /// What came in.
    func values(_ counts: ColumnReader.Counts?) -> ROOTValues {
        if let places {
            return ROOTValues(entries: entries, column: column, count: count, memory: memory, places: places)
        }
        guard column.layout == .counted, let counts else {
            return ROOTValues(entries: entries, column: column, count: count, memory: memory, places: nil)
        }
        return ROOTValues(
            entries: entries, column: column, count: count, memory: memory, places: counts.offsets(entries))
    }
}
