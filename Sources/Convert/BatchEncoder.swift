import ArrowIPC
import Foundation
import Glibc
import Kernels
import Shards
import Support

/// Encodes original columns as a record batch, with proof that they come back.
///
/// Not Sendable: one worker owns it with its memory.
final class BatchEncoder {
    private let layout: StoredLayout
    private let encoder: RecordBatchEncoder
    private let splits: Splits?
    private let slots: Int
    private let clock: StageClock
    private let names: [String]
    private let constituentNumber: [Int: Int]
    private var masses: pando_masses
    private let forward: ForwardEncoder
    private let buffers: [AlignedBuffer]
    private let mismatch = AlignedBuffer()
    private let pdg = AlignedBuffer()
    private let axis = (AlignedBuffer(), AlignedBuffer(), AlignedBuffer(), AlignedBuffer())
    private let energyULP = AlignedBuffer()
    private let sums = AlignedBuffer()
    private let exceptionOffsets = AlignedBuffer()

    init(
        layout: StoredLayout, compression: BodyCompression, sharesOffsets: Bool, metadata: [KeyValue], splits: Splits?,
        slots: Int, clock: StageClock
    ) throws {
        self.layout = layout
        self.splits = splits
        self.slots = slots
        self.clock = clock
        encoder = try RecordBatchEncoder(
            schema: ArrowSchema(fields: layout.columns.map(\.field), metadata: metadata), compression: compression,
            sharesOffsets: sharesOffsets)
        let fields = layout.encoding.fields
        names = ["count"] + fields.map(\.name)
        let constituents = fields.indices.filter { fields[$0].role == .constituent }
        constituentNumber = Dictionary(uniqueKeysWithValues: constituents.enumerated().map { ($1, $0) })
        masses = pando_masses(layout.encoding.lattice?.masses ?? [])
        buffers = layout.contents.map { _ in AlignedBuffer() }
        forward = ForwardEncoder(layout.encoding)
    }

    private var fields: [SourceField] { layout.encoding.fields }
    private func field(_ name: String) -> Int { fields.firstIndex { $0.name == name } ?? 0 }
    private func buffer(_ content: ColumnContent) -> AlignedBuffer? {
        layout.contents.firstIndex(of: content).map { buffers[$0] }
    }
    private func bit(_ field: Int) -> UInt32 { 1 << UInt32(constituentNumber[field] ?? 0) }

    /// Encodes a batch.
    /// - Parameter origins: Which input rows the batch's rows are, in order.
    func encode(_ columns: JetColumns, origins: [AssembledRows]) throws -> FinishedBatch {
        clock.enter(.narrow)
        let count = columns.constituents
        mismatch.reserve(count * 4)
        mismatch.base.initializeMemory(as: UInt8.self, repeating: 0, count: count * 4)
        let misses = mismatch.base.assumingMemoryBound(to: UInt32.self)
        for (index, field) in fields.enumerated() { narrow(index, field.storage, columns, misses) }
        if let lattice = layout.encoding.lattice { encodeMomenta(lattice, columns, misses) }
        forward.encode(columns, misses, bits: bit) { buffer(.forward($0)) }
        let exceptions = collectExceptions(columns, misses)
        derive(columns, origins)

        clock.enter(.digest)
        let digests = columns.digests()
        clock.enter(.compress)
        let message = try encoder.encode(
            rows: columns.rows, columns: layout.contents.indices.map { data($0, columns) },
            customMetadata: [OriginalDigests.metadata(names: names, digests: digests)])
        clock.enter(.digest)
        return FinishedBatch(
            message: message, digest: Digest(of: message.bytes), content: JetColumns.content(digests),
            constituents: count,
            keys: layout.keys.map { KeyRanges.range(of: fields[$0.field].type, columns.bytes(of: $0.field)) },
            statistics: layout.contents.indices.map { statistics($0, columns) }, exceptions: exceptions,
            fullJets: fullJets(columns), emptyJets: emptyJets(columns), splitRows: splitRows(columns))
    }

    private func narrow(
        _ index: Int, _ storage: FieldStorage, _ columns: JetColumns, _ misses: UnsafeMutablePointer<UInt32>
    ) {
        guard let out = buffer(.narrowed(index)) else { return }
        let count = columns.constituents
        let values = columns.fields[index].base.assumingMemoryBound(to: Float.self)
        out.reserve(count * 2)
        switch storage {
        case .float16:
            pando_narrow_half(count, values, out.base.assumingMemoryBound(to: UInt16.self), misses, bit(index))
        case .int16: pando_narrow_int16(count, values, out.base.assumingMemoryBound(to: Int16.self), misses, bit(index))
        case .int8: pando_narrow_int8(count, values, out.base.assumingMemoryBound(to: Int8.self), misses, bit(index))
        case .plain, .lattice, .forward, .flags: break
        }
    }

    private func encodeMomenta(_ lattice: LatticeMomenta, _ columns: JetColumns, _ misses: UnsafeMutablePointer<UInt32>)
    {
        let count = columns.constituents, rows = columns.rows
        let codes = field(lattice.pdgId)
        pdg.reserve(count * 2)
        let pdgIds = pdg.base.assumingMemoryBound(to: Int16.self)
        // The decoder takes the mass from the narrowed code too, whatever its storage.
        pando_narrow_int16(count, columns.fields[codes].base.assumingMemoryBound(to: Float.self), pdgIds, misses, 0)
        for buffer in [axis.0, axis.1] { buffer.reserve(rows * 4) }
        for buffer in [axis.2, axis.3] { buffer.reserve(count * 4) }
        let eta = axis.0.base.assumingMemoryBound(to: Int32.self), phi = axis.1.base.assumingMemoryBound(to: Int32.self)
        let etas = axis.2.base.assumingMemoryBound(to: Int32.self),
            phis = axis.3.base.assumingMemoryBound(to: Int32.self)
        pando_axis_index(
            rows, columns.fields[field(lattice.axis[0])].base.assumingMemoryBound(to: Float.self),
            columns.fields[field(lattice.axis[1])].base.assumingMemoryBound(to: Float.self), eta, phi)
        pando_repeat(rows, columns.offsetNumbers.baseAddress, eta, etas)
        pando_repeat(rows, columns.offsetNumbers.baseAddress, phi, phis)
        func out<T>(_ part: ColumnContent.LatticePart, _ type: T.Type) -> UnsafeMutablePointer<T> {
            let buffer = buffer(.lattice(part)) ?? energyULP
            buffer.reserve(count * MemoryLayout<T>.size)
            return buffer.base.assumingMemoryBound(to: T.self)
        }
        var target = pando_lattice_out(
            pt: out(.pt, UInt16.self), deta: out(.deta, Int16.self), dphi: out(.dphi, Int16.self),
            fix_eta: out(.fixEta, Int8.self), fix_phi: out(.fixPhi, Int8.self), energy_ulp: out(.energyULP, Int8.self))
        let momentum = lattice.momentum.map(field)
        var bits = momentum.map(bit)
        if !lattice.predictsEnergy { bits[3] = 0 }
        let p = momentum.map { UnsafePointer(columns.fields[$0].base.assumingMemoryBound(to: Float.self)) }
        pando_encode_momenta(count, p[0], p[1], p[2], p[3], pdgIds, etas, phis, &masses, &target, bits, misses)
    }

    /// Lists what did not come back: index, field and original bits, by jet, constituent and field.
    private func collectExceptions(_ columns: JetColumns, _ misses: UnsafeMutablePointer<UInt32>) -> [Int] {
        let constituents = fields.indices.filter { fields[$0].role == .constituent }
        var counts = constituents.map { _ in 0 }
        guard let positions = buffer(.exception(0)), let numbers = buffer(.exception(1)),
            let bits = buffer(.exception(2))
        else { return counts }
        let rows = columns.rows, offsets = columns.offsetNumbers
        let room = pando_count_mismatches(columns.constituents, misses) * constituents.count
        positions.reserve(room * 2)
        numbers.reserve(room)
        bits.reserve(room * 4)
        exceptionOffsets.reserve((rows + 1) * 4)
        let ends = exceptionOffsets.base.assumingMemoryBound(to: Int32.self)
        let position = positions.base.assumingMemoryBound(to: UInt16.self)
        let number = numbers.base.assumingMemoryBound(to: UInt8.self)
        let bit = bits.base.assumingMemoryBound(to: UInt32.self)
        let values = constituents.map { UnsafePointer(columns.fields[$0].base.assumingMemoryBound(to: UInt32.self)) }
        var entry = 0
        ends[0] = 0
        for row in 0..<rows {
            let first = Int(offsets[row])
            for place in first..<Int(offsets[row + 1]) where misses[place] != 0 {
                var mask = misses[place]
                while mask != 0 {
                    let field = mask.trailingZeroBitCount
                    mask &= mask - 1
                    position[entry] = UInt16(truncatingIfNeeded: place - first)
                    number[entry] = UInt8(truncatingIfNeeded: field)
                    bit[entry] = values[field][place]
                    counts[field] += 1
                    entry += 1
                }
            }
            ends[row + 1] = Int32(truncatingIfNeeded: entry)
        }
        return counts
    }

    private func derive(_ columns: JetColumns, _ origins: [AssembledRows]) {
        let rows = columns.rows, offsets = columns.offsetNumbers
        if let buffer = buffer(.constituents) {
            buffer.reserve(rows * 2)
            let counts = buffer.base.assumingMemoryBound(to: UInt16.self)
            for row in 0..<rows { counts[row] = UInt16(clamping: offsets[row + 1] - offsets[row]) }
        }
        if let source = buffer(.source), let sourceRow = buffer(.sourceRow) {
            source.reserve(rows * 2)
            sourceRow.reserve(rows * 8)
            let inputs = source.base.assumingMemoryBound(to: UInt16.self)
            let numbers = sourceRow.base.assumingMemoryBound(to: Int64.self)
            var row = 0
            for origin in origins {
                for number in origin.rows {
                    inputs[row] = UInt16(truncatingIfNeeded: origin.input)
                    numbers[row] = Int64(number)
                    row += 1
                }
            }
        }
        if let momentum = layout.momentum { deriveAxis(momentum, columns) }
    }

    private func deriveAxis(_ momentum: [Int], _ columns: JetColumns) {
        let rows = columns.rows
        sums.reserve(rows * 32)
        let sum = sums.base.assumingMemoryBound(to: Double.self)
        let p = momentum.map { columns.fields[$0].base.assumingMemoryBound(to: Float.self) }
        pando_sum_momenta(rows, columns.offsetNumbers.baseAddress, p[0], p[1], p[2], p[3], sum)
        let out = (0..<4).map { part in
            let buffer = buffer(.axis(part)) ?? sums
            buffer.reserve(rows * 4)
            return buffer.base.assumingMemoryBound(to: Float.self)
        }
        for row in 0..<rows {
            let (x, y, z, e) = (sum[4 * row], sum[4 * row + 1], sum[4 * row + 2], sum[4 * row + 3])
            let pt = (x * x + y * y).squareRoot()
            let mass2 = e * e - (x * x + y * y + z * z)
            out[0][row] = Float(pt)
            out[1][row] = pt > 0 ? Float(asinh(z / pt)) : 0
            out[2][row] = Float(atan2(y, x))
            out[3][row] = Float(mass2 > 0 ? mass2.squareRoot() : mass2.isNaN ? .nan : 0)
        }
    }

    private func data(_ index: Int, _ columns: JetColumns) -> ColumnData {
        let type = layout.columns[index].type, content = layout.contents[index]
        let count = columns.constituents, rows = columns.rows
        func list(_ values: UnsafeRawBufferPointer, _ offsets: AlignedBuffer) -> ColumnData {
            .list(offsets: offsets.bytes((rows + 1) * 4), values: values)
        }
        switch (content, type) {
        case (.field(let field), .list): return list(columns.bytes(of: field), columns.offsets)
        case (.field(let field), _): return .values(columns.bytes(of: field))
        case (.exception, .list(let element)):
            let entries = Int(exceptionOffsets.elements(Int32.self, count: rows + 1)[rows])
            return list(buffers[index].bytes(entries * (element.byteWidth ?? 0)), exceptionOffsets)
        case (_, .list(let element)):
            return list(buffers[index].bytes(count * (element.byteWidth ?? 0)), columns.offsets)
        default: return .values(buffers[index].bytes(rows * (type.byteWidth ?? 0)))
        }
    }

    private func statistics(_ index: Int, _ columns: JetColumns) -> ColumnStatistics {
        switch layout.contents[index] {
        case .field(let field), .narrowed(let field):
            // Of narrowed columns the original values: the same but for the exceptions.
            return Statistics.of(fields[field].type.arrow, columns.bytes(of: field))
        case .exception: return ColumnStatistics()
        default:
            guard let values = data(index, columns).valueBytes else { return ColumnStatistics() }
            let type = layout.columns[index].type
            if case .list(let element) = type { return Statistics.of(element, values, scratch: mismatch) }
            return Statistics.of(type, values, scratch: mismatch)
        }
    }

    private func fullJets(_ columns: JetColumns) -> Int {
        guard slots > 0 else { return 0 }
        let offsets = columns.offsetNumbers
        return (0..<columns.rows).reduce(0) { $0 + (Int(offsets[$1 + 1] - offsets[$1]) >= slots ? 1 : 0) }
    }

    private func emptyJets(_ columns: JetColumns) -> Int {
        let offsets = columns.offsetNumbers
        return (0..<columns.rows).reduce(0) { $0 + (offsets[$1 + 1] == offsets[$1] ? 1 : 0) }
    }

    private func splitRows(_ columns: JetColumns) -> [Int] {
        guard let splits else { return [] }
        var counts = splits.parts.map { _ in 0 }
        let numbers = splits.columns.compactMap { name in fields.firstIndex { $0.name == name } }.map { field in
            KeyRanges.integers(fields[field].type, columns.bytes(of: field))
        }
        var event = numbers.map { _ in UInt64(0) }
        for row in 0..<columns.rows {
            for (index, values) in numbers.enumerated() { event[index] = UInt64(bitPattern: values[row]) }
            counts[splits.part(of: event)] += 1
        }
        return counts
    }
}

extension ColumnData {
    fileprivate var valueBytes: UnsafeRawBufferPointer? {
        switch self {
        case .values(let bytes), .list(_, let bytes): bytes
        case .utf8: nil
        }
    }
}
