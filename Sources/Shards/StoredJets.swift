import ArrowIPC
import Kernels
import Support

/// Stored columns of some jets in memory, not decoded: those of a record batch, or rows of many gathered together.
///
/// Not Sendable: one worker owns it and uses it again and again.
public final class StoredJets {
    /// Jets.
    public private(set) var rows = 0
    /// Constituents of all jets.
    public private(set) var constituents = 0
    /// Exceptions of all jets.
    public private(set) var exceptions = 0
    /// The columns, in this order.
    public let selection: StoredSelection
    private let columns: [AlignedBuffer]
    let offsets = AlignedBuffer()
    private let exceptionOffsets = AlignedBuffer()
    /// The columns, if they are used where they lie in a mapped shard.
    private var mapped: MappedColumns
    private let kinds: [UInt8]
    private let widths: [UInt8]
    private let bases: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    private let out: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>

    /// Memory for these columns.
    public init(_ selection: StoredSelection) {
        self.selection = selection
        columns = selection.columns.map { _ in AlignedBuffer() }
        kinds = selection.columns.map(\.kind.rawValue)
        widths = selection.columns.map { UInt8(clamping: $0.width) }
        let count = selection.columns.count
        mapped = MappedColumns(capacity: count)
        bases = .allocate(capacity: max(1, count))
        bases.initialize(repeating: nil, count: max(1, count))
        out = .allocate(capacity: max(1, count))
        out.initialize(repeating: nil, count: max(1, count))
    }

    deinit {
        bases.deallocate()
        out.deallocate()
    }

    /// Where each jet's constituents begin, and where the last one's end.
    public var offsetNumbers: UnsafeMutableBufferPointer<Int32> { offsets.elements(Int32.self, count: rows + 1) }

    /// Where each jet's exceptions begin, and where the last one's end.
    var exceptionNumbers: UnsafeMutableBufferPointer<Int32> {
        exceptionOffsets.elements(Int32.self, count: rows + 1)
    }

    /// Makes room, so that reading and gathering that much need not; in an arena, if there is one.
    public func reserve(rows: Int, constituents: Int, exceptions: Int, in arena: Arena? = nil) {
        func reserve(_ buffer: AlignedBuffer, _ count: Int) {
            if let arena { buffer.move(to: arena, count: count) } else { buffer.reserve(count) }
        }
        reserve(offsets, (rows + 1) * 4)
        reserve(exceptionOffsets, (rows + 1) * 4)
        for (column, described) in zip(columns, selection.columns) {
            reserve(column, described.byteCount(rows: rows, constituents: constituents, exceptions: exceptions))
        }
    }

    /// How many values a column has.
    public func count(of column: Int) -> Int {
        switch selection.columns[column].kind {
        case .jet: rows
        case .constituent: constituents
        case .exception: exceptions
        }
    }

    /// The values of a column as `type`, which the selection has said.
    public func values<Value>(_ column: Int, as type: Value.Type) -> UnsafePointer<Value> {
        if mapped.count > 0, let base = mapped.values(column).baseAddress { return base.assumingMemoryBound(to: type) }
        return UnsafePointer(columns[column].base.assumingMemoryBound(to: type))
    }

    /// Bytes of all columns and offsets.
    public var byteCount: Int {
        selection.byteCount(rows: rows, constituents: constituents, exceptions: exceptions)
    }

    /// Bytes that all its memory has.
    public var capacity: Int { columns.reduce(offsets.capacity + exceptionOffsets.capacity) { $0 + $1.capacity } }

    /// The columns as the kernels take them; valid until this is changed.
    public var view: pando_stored {
        for (index, column) in columns.enumerated() {
            var base = UnsafeRawPointer(column.base)
            if mapped.count > 0, let place = mapped.values(index).baseAddress { base = place }
            // Corrections are nearly always zero: such columns of constituents need no gathering.
            let mayBeNil = widths[index] == 1 && kinds[index] != StoredSelection.Kind.jet.rawValue
            let isZero = mayBeNil && pando_hdf5_is_zero(base, count(of: index)) != 0
            bases[index] = isZero ? nil : base.assumingMemoryBound(to: UInt8.self)
        }
        return pando_stored(
            offsets: UnsafePointer(offsets.base.assumingMemoryBound(to: Int32.self)),
            exception_offsets: UnsafePointer(exceptionOffsets.base.assumingMemoryBound(to: Int32.self)),
            columns: UnsafePointer(bases), first_row: 0)
    }

    /// Decompresses the columns of a record batch.
    /// - Throws: `ArrowError`, or `DatasetError` with code `inconsistent` if a column does not fit the others.
    public func read(_ batch: RecordBatch, using decoder: BodyDecoder, file: String) throws {
        rows = batch.rowCount
        mapped.clear()
        constituents = try readOffsets(selection.offsets, of: batch, into: offsets, decoder, file)
        exceptions = try readOffsets(selection.exceptions?.position, of: batch, into: exceptionOffsets, decoder, file)
        for (index, column) in selection.columns.enumerated() {
            let view = try batch.column(column.number), expected = count(of: index)
            let found = column.kind == .jet ? view.length : view.childLength ?? 0
            guard found == expected, view.values.byteCount == expected * column.width else {
                throw DatasetError(
                    .inconsistent, file: file, place: "column \(column.name)",
                    message: "has \(found) values, expected \(expected)")
            }
            columns[index].reserve(view.values.byteCount)
            try batch.decode(
                view.values,
                into: UnsafeMutableRawBufferPointer(start: columns[index].base, count: view.values.byteCount),
                using: decoder)
        }
    }

    /// Decompresses the columns of the record batch that a reader of the selection's columns has read.
    /// - Throws: `ArrowError`, or `DatasetError` with code `inconsistent` if a column does not fit the others.
    public func read(_ reader: ColumnReader, file: @autoclosure () -> String) throws {
        rows = reader.rowCount
        mapped.clear()
        constituents = try readOffsets(selection.offsets, reader, into: offsets)
        exceptions = try readOffsets(selection.exceptions?.position, reader, into: exceptionOffsets)
        for (index, column) in columns.enumerated() {
            let bytes = try reader.valueBytes(index)
            try check(try reader.valueCount(index), of: index, file: file())
            column.reserve(bytes)
            try reader.decodeValues(index, into: UnsafeMutableRawBufferPointer(start: column.base, count: bytes))
        }
    }

    private func readOffsets(_ place: Int?, _ reader: ColumnReader, into buffer: AlignedBuffer) throws -> Int {
        let memory = room(for: buffer)
        guard let place else {
            memory.initialize(repeating: 0)
            return 0
        }
        try reader.decodeOffsets(place, into: memory)
        return Int(memory[rows])
    }

    private func room(for buffer: AlignedBuffer) -> UnsafeMutableBufferPointer<Int32> {
        buffer.reserve((rows + 1) * 4)
        return buffer.elements(Int32.self, count: rows + 1)
    }

    private func check(_ found: Int, of index: Int, file: @autoclosure () -> String) throws(DatasetError) {
        guard found == count(of: index) else {
            throw DatasetError(
                .inconsistent, file: file(), place: "column \(selection.columns[index].name)",
                message: "has \(found) values, expected \(count(of: index))")
        }
    }

    /// Uses the columns of an uncompressed record batch where they lie in a mapped shard, until it reads or maps another.
    /// Offsets are copied, so that nobody who writes to the file can lead out of its columns.
    /// - Returns: False if the batch cannot be used so, and has to be read.
    /// - Throws: As `read`.
    public func map(_ batch: Int, with reader: ColumnReader, file: @autoclosure () -> String) throws -> Bool {
        guard try reader.map(batch, into: &mapped) else { return false }
        rows = mapped.rowCount
        constituents = copyOffsets(selection.offsets, into: offsets)
        exceptions = copyOffsets(selection.exceptions?.position, into: exceptionOffsets)
        for index in columns.indices { try check(mapped.childLength(index) ?? rows, of: index, file: file()) }
        return true
    }

    private func copyOffsets(_ place: Int?, into buffer: AlignedBuffer) -> Int {
        let memory = room(for: buffer)
        guard let place, let stored = mapped.offsets(place) else {
            memory.initialize(repeating: 0)
            return 0
        }
        _ = memory.update(fromContentsOf: stored)
        return Int(memory[rows])
    }

    /// Lets a mapped shard go.
    public func unmap() { mapped.clear() }

    /// Offsets of a list column, which must begin at 0 and end at its last value.
    private func readOffsets(
        _ place: Int?, of batch: RecordBatch, into buffer: AlignedBuffer, _ decoder: BodyDecoder, _ file: String
    ) throws -> Int {
        let memory = room(for: buffer)
        guard let place else {
            memory.initialize(repeating: 0)
            return 0
        }
        let column = selection.columns[place], view = try batch.column(column.number)
        try batch.decodeOffsets(of: view, into: memory, using: decoder)
        let count = Int(memory[rows])
        guard memory[0] == 0, count == view.childLength else {
            throw DatasetError(
                .inconsistent, file: file, place: "column \(column.name)",
                message: "lists cover values \(memory[0])..<\(count), expected 0..<\(view.childLength ?? 0)")
        }
        return count
    }

    /// Copies rows of other jets with the same selection together.
    /// - Throws: `DatasetError` with code `inconsistent` if they have more constituents than 32-bit offsets can say.
    public func gather(_ places: UnsafeBufferPointer<pando_stored_row>, file: String) throws(DatasetError) {
        rows = places.count
        mapped.clear()
        offsets.reserve((rows + 1) * 4)
        exceptionOffsets.reserve((rows + 1) * 4)
        let ends = offsets.base.assumingMemoryBound(to: Int32.self)
        let exceptionEnds = exceptionOffsets.base.assumingMemoryBound(to: Int32.self)
        let total = pando_gather_offsets(rows, places.baseAddress, 0, ends)
        let others = pando_gather_offsets(rows, places.baseAddress, 1, exceptionEnds)
        guard total >= 0, others >= 0 else {
            throw DatasetError(
                .inconsistent, file: file, message: "\(rows) jets have more than \(Int32.max) constituents",
                advice: "choose a smaller batch size")
        }
        constituents = Int(total)
        exceptions = Int(others)
        for (index, column) in columns.enumerated() {
            column.reserve(count(of: index) * Int(widths[index]))
            out[index] = column.base.assumingMemoryBound(to: UInt8.self)
        }
        pando_gather(rows, places.baseAddress, columns.count, kinds, widths, ends, exceptionEnds, out)
    }
}
