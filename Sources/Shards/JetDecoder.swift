import ArrowIPC
import Kernels
import Support

/// Decodes record batches back to the original columns, bit for bit.
///
/// Not Sendable: one worker owns it with its memory.
public final class JetDecoder {
    private let encoding: JetEncoding
    private let decoder = BodyDecoder()
    private let constituentFields: [SourceField]
    private var masses: pando_masses
    private var scratch: [String: AlignedBuffer] = [:]
    private let axisEta = AlignedBuffer()
    private let axisPhi = AlignedBuffer()
    private let axisOfConstituent = (AlignedBuffer(), AlignedBuffer())

    /// A decoder for shards of this encoding.
    /// - Throws: `DatasetError` with code `inconsistent` if the encoding names fields that it does not have.
    public init(encoding: JetEncoding, file: String) throws {
        self.encoding = encoding
        constituentFields = encoding.constituentFields
        masses = pando_masses(encoding.lattice?.masses ?? [])
        guard encoding.version == 1 else {
            throw DatasetError(
                .unsupported, file: file, place: "encoding", message: "has version \(encoding.version), expected 1")
        }
        for field in encoding.fields where field.storage != .plain {
            guard field.type == .float32, field.role == .constituent,
                field.storage != .lattice || encoding.lattice?.momentum.contains(field.name) == true
            else {
                throw DatasetError(
                    .inconsistent, file: file, place: "encoding",
                    message: "field \(field.name) of type \(field.type) cannot be stored as \(field.storage)")
            }
        }
        if let lattice = encoding.lattice {
            let names = encoding.fields.map(\.name)
            let needed = lattice.momentum + [lattice.pdgId] + lattice.axis
            guard lattice.momentum.count == 4, lattice.axis.count == 2, needed.allSatisfy(names.contains),
                (lattice.axis + lattice.momentum + [lattice.pdgId]).allSatisfy({ name in
                    encoding.fields.contains { $0.name == name && $0.type == .float32 }
                })
            else {
                throw DatasetError(
                    .inconsistent, file: file, place: "encoding",
                    message: "the lattice layout names fields that do not fit")
            }
        }
    }

    /// Decodes all fields of a batch into `columns`, which must have been made for the encoding's fields.
    /// - Throws: `ArrowError`, or `DatasetError` with code `inconsistent` if a column is missing or of another type.
    /// - Parameter isWanted: Which of the encoding's fields to decode; contents of the others are not defined. Nil: all.
    public func decode(
        _ batch: RecordBatch, into columns: JetColumns, file: String, isWanted: [Bool]? = nil
    ) throws {
        var stored = StoredBatch(batch: batch, decoder: decoder, file: file)
        let offsets = try constituentOffsets(&stored)
        columns.resize(rows: batch.rowCount, constituents: offsets.count)
        columns.offsetNumbers.baseAddress?.update(from: offsets.numbers, count: batch.rowCount + 1)
        let count = offsets.count

        let needed = isWanted.map(neededFields)
        for (index, field) in encoding.fields.enumerated() where field.storage != .lattice && needed?[index] ?? true {
            let values = field.role == .constituent ? count : batch.rowCount
            let target = columns.fields[index].base
            switch field.storage {
            case .plain, .lattice:
                try stored.read(
                    field.name, type: field.type.arrow, list: field.role == .constituent, count: values, into: target)
            case .float16:
                let memory = memory(field.name, values * 2)
                try stored.read(field.name, type: .float16, list: true, count: values, into: memory)
                pando_widen_half(
                    values, memory.assumingMemoryBound(to: UInt16.self), target.assumingMemoryBound(to: Float.self))
            case .int16:
                let memory = memory(field.name, values * 2)
                try stored.read(field.name, type: .int16, list: true, count: values, into: memory)
                pando_widen_int16(
                    values, memory.assumingMemoryBound(to: Int16.self), target.assumingMemoryBound(to: Float.self))
            case .int8:
                let memory = memory(field.name, values)
                try stored.read(field.name, type: .int8, list: true, count: values, into: memory)
                pando_widen_int8(
                    values, memory.assumingMemoryBound(to: Int8.self), target.assumingMemoryBound(to: Float.self))
            }
        }
        if let lattice = encoding.lattice, isWanted.map({ hasMomentum(lattice, $0) }) ?? true {
            try decodeMomenta(lattice, &stored, columns)
        }
        try applyExceptions(&stored, columns)
    }

    private func hasMomentum(_ lattice: LatticeMomenta, _ isWanted: [Bool]) -> Bool {
        lattice.momentum.contains { isWanted[field($0)] }
    }

    /// The wanted fields and those that momenta on the lattice are made from.
    private func neededFields(_ isWanted: [Bool]) -> [Bool] {
        guard let lattice = encoding.lattice, hasMomentum(lattice, isWanted) else { return isWanted }
        var needed = isWanted
        for name in lattice.axis + [lattice.pdgId] { needed[field(name)] = true }
        return needed
    }

    private func memory(_ name: String, _ bytes: Int) -> UnsafeMutableRawPointer {
        let buffer = scratch[name] ?? AlignedBuffer()
        scratch[name] = buffer
        buffer.reserve(bytes)
        return buffer.base
    }

    private func field(_ name: String) -> Int { encoding.fields.firstIndex { $0.name == name } ?? 0 }

    /// Offsets of the constituent columns, from the first of them; all share them.
    private func constituentOffsets(
        _ stored: inout StoredBatch
    ) throws -> (numbers: UnsafePointer<Int32>, count: Int) {
        let rows = stored.batch.rowCount
        let memory = memory("offsets", (rows + 1) * 4).assumingMemoryBound(to: Int32.self)
        let first = constituentFields.first.map { $0.storage == .lattice ? StoredColumn.pt : $0.name }
        guard let first else {
            memory.initialize(repeating: 0, count: rows + 1)
            return (UnsafePointer(memory), 0)
        }
        return (UnsafePointer(memory), try stored.readOffsets(first, into: memory))
    }

    private func decodeMomenta(_ lattice: LatticeMomenta, _ stored: inout StoredBatch, _ columns: JetColumns) throws {
        let count = columns.constituents
        func list<T>(_ name: String, _ type: ArrowType, as: T.Type) throws -> UnsafeMutablePointer<T> {
            let memory = memory(name, count * MemoryLayout<T>.size)
            try stored.read(name, type: type, list: true, count: count, into: memory)
            return memory.assumingMemoryBound(to: T.self)
        }
        let pt = try list(StoredColumn.pt, .float16, as: UInt16.self)
        let deta = try list(StoredColumn.deta, .int16, as: Int16.self)
        let dphi = try list(StoredColumn.dphi, .int16, as: Int16.self)
        let fixEta = try list(StoredColumn.fixEta, .int8, as: Int8.self)
        let fixPhi = try list(StoredColumn.fixPhi, .int8, as: Int8.self)
        let ulp: UnsafeMutablePointer<Int8>
        if lattice.predictsEnergy {
            ulp = try list(StoredColumn.energyULP, .int8, as: Int8.self)
        } else {
            ulp = memory(StoredColumn.energyULP, count).assumingMemoryBound(to: Int8.self)
            ulp.initialize(repeating: 0, count: count)
        }
        let codes = columns.fields[field(lattice.pdgId)].elements(Float.self, count: count)
        let pdg = memory("pdg", count * 2).assumingMemoryBound(to: Int16.self)
        let ignored = memory("ignored", count * 4).assumingMemoryBound(to: UInt32.self)
        pando_narrow_int16(count, codes.baseAddress, pdg, ignored, 0)
        let (eta, phi) = axisIndices(lattice, columns)
        var input = pando_lattice(
            pt: pt, deta: deta, dphi: dphi, fix_eta: fixEta, fix_phi: fixPhi, energy_ulp: ulp, pdg: pdg)
        let out = lattice.momentum.map { columns.fields[field($0)].base.assumingMemoryBound(to: Float.self) }
        let energy = lattice.predictsEnergy ? out[3] : memory("energy", count * 4).assumingMemoryBound(to: Float.self)
        pando_decode_momenta(count, &input, eta, phi, &masses, out[0], out[1], out[2], energy)
    }

    /// Lattice indices of each constituent's jet axis.
    private func axisIndices(
        _ lattice: LatticeMomenta, _ columns: JetColumns
    ) -> (UnsafePointer<Int32>, UnsafePointer<Int32>) {
        let rows = columns.rows, count = columns.constituents
        axisEta.reserve(rows * 4)
        axisPhi.reserve(rows * 4)
        axisOfConstituent.0.reserve(count * 4)
        axisOfConstituent.1.reserve(count * 4)
        let eta = axisEta.elements(Int32.self, count: rows), phi = axisPhi.elements(Int32.self, count: rows)
        let etas = axisOfConstituent.0.elements(Int32.self, count: count)
        let phis = axisOfConstituent.1.elements(Int32.self, count: count)
        pando_axis_index(
            rows, columns.fields[field(lattice.axis[0])].elements(Float.self, count: rows).baseAddress,
            columns.fields[field(lattice.axis[1])].elements(Float.self, count: rows).baseAddress, eta.baseAddress,
            phi.baseAddress)
        pando_repeat(rows, columns.offsetNumbers.baseAddress, eta.baseAddress, etas.baseAddress)
        pando_repeat(rows, columns.offsetNumbers.baseAddress, phi.baseAddress, phis.baseAddress)
        return (
            UnsafePointer(axisOfConstituent.0.base.assumingMemoryBound(to: Int32.self)),
            UnsafePointer(axisOfConstituent.1.base.assumingMemoryBound(to: Int32.self))
        )
    }

    private func applyExceptions(_ stored: inout StoredBatch, _ columns: JetColumns) throws {
        guard stored.has(StoredColumn.exceptionPosition) else { return }
        let rows = columns.rows
        let offsets = memory("x_offsets", (rows + 1) * 4).assumingMemoryBound(to: Int32.self)
        let count = try stored.readOffsets(StoredColumn.exceptionPosition, into: offsets)
        let positions = memory(StoredColumn.exceptionPosition, count * 2).assumingMemoryBound(to: UInt16.self)
        let fields = memory(StoredColumn.exceptionField, count).assumingMemoryBound(to: UInt8.self)
        let bits = memory(StoredColumn.exceptionBits, count * 4).assumingMemoryBound(to: UInt32.self)
        try stored.read(StoredColumn.exceptionPosition, type: .uint16, list: true, count: count, into: positions)
        try stored.read(StoredColumn.exceptionField, type: .uint8, list: true, count: count, into: fields)
        try stored.read(StoredColumn.exceptionBits, type: .uint32, list: true, count: count, into: bits)
        let targets = constituentFields.map { columns.fields[field($0.name)].base.assumingMemoryBound(to: UInt32.self) }
        let jets = columns.offsetNumbers
        for row in 0..<rows {
            for entry in Int(offsets[row])..<Int(offsets[row + 1]) {
                let place = Int(jets[row]) + Int(positions[entry]), number = Int(fields[entry])
                guard place < Int(jets[row + 1]), number < constituentFields.count,
                    constituentFields[number].type == .float32
                else {
                    throw DatasetError(
                        .inconsistent, file: stored.file, place: "row \(row), exception \(entry - Int(offsets[row]))",
                        message: "names constituent \(positions[entry]) and field \(number), which are not there")
                }
                targets[number][place] = bits[entry]
            }
        }
    }
}

extension pando_masses {
    /// The table for the kernels; entries beyond eight are left out (an encoding never has them).
    public init(_ masses: [CodeMass]) {
        self.init()
        count = Int32(min(8, masses.count))
        withUnsafeMutableBytes(of: &code) { codes in
            for (index, entry) in masses.prefix(8).enumerated() {
                codes.storeBytes(of: entry.pdgId, toByteOffset: 4 * index, as: Int32.self)
            }
        }
        withUnsafeMutableBytes(of: &mass) { table in
            for (index, entry) in masses.prefix(8).enumerated() {
                table.storeBytes(of: entry.mass, toByteOffset: 8 * index, as: Double.self)
            }
        }
    }
}

/// Columns of a record batch by name, with types checked.
private struct StoredBatch {
    let batch: RecordBatch
    let decoder: BodyDecoder
    let file: String

    func has(_ name: String) -> Bool { batch.schema.fields.contains { $0.name == name } }

    private func column(_ name: String) throws -> ColumnView {
        guard let index = batch.schema.fields.firstIndex(where: { $0.name == name }) else {
            throw DatasetError(.inconsistent, file: file, place: "column \(name)", message: "is missing")
        }
        return try batch.column(index)
    }

    func read(_ name: String, type: ArrowType, list: Bool, count: Int, into memory: UnsafeMutableRawPointer) throws {
        let column = try column(name)
        let expected: ArrowType = list ? .list(type) : type
        guard column.type == expected else {
            throw DatasetError(
                .inconsistent, file: file, place: "column \(name)",
                message: "has type \(column.type), expected \(expected)")
        }
        let found = list ? column.childLength ?? 0 : column.length
        guard found == count, column.values.byteCount == count * (type.byteWidth ?? 0) else {
            throw DatasetError(
                .inconsistent, file: file, place: "column \(name)", message: "has \(found) values, expected \(count)")
        }
        try batch.decode(
            column.values, into: UnsafeMutableRawBufferPointer(start: memory, count: column.values.byteCount),
            using: decoder)
    }

    /// Offsets of a list column, which must begin at 0 and end at its last value.
    func readOffsets(_ name: String, into memory: UnsafeMutablePointer<Int32>) throws -> Int {
        let column = try column(name)
        guard case .list = column.type else {
            throw DatasetError(
                .inconsistent, file: file, place: "column \(name)", message: "has type \(column.type), expected lists")
        }
        let rows = batch.rowCount
        try batch.decodeOffsets(
            of: column, into: UnsafeMutableBufferPointer(start: memory, count: rows + 1), using: decoder)
        let count = Int(memory[rows])
        guard memory[0] == 0, count == column.childLength else {
            throw DatasetError(
                .inconsistent, file: file, place: "column \(name)",
                message: "lists cover values \(memory[0])..<\(count), expected 0..<\(column.childLength ?? 0)")
        }
        return count
    }
}
