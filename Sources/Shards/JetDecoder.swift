import ArrowIPC
import Kernels
import Support

/// Decodes record batches back to the original columns, bit for bit.
///
/// Not Sendable: one worker owns it with its memory.
public final class JetDecoder {
    private let encoding: JetEncoding
    private let decoder = BodyDecoder()
    /// Numbers of the constituent fields: what exceptions name.
    private let constituentFields: [Int]
    /// Numbers of the fields px, py, pz, E; empty without a lattice.
    private let momentum: [Int]
    private var masses: pando_masses
    private let forward: ForwardDecoder?
    private var whole: (schema: ArrowSchema, stored: StoredJets)?
    private let axisEta = AlignedBuffer()
    private let axisPhi = AlignedBuffer()
    private let constituentEta = AlignedBuffer()
    private let constituentPhi = AlignedBuffer()
    private let codes = AlignedBuffer()
    private let ignored = AlignedBuffer()
    private let energy = AlignedBuffer()

    /// A decoder for shards of this encoding.
    /// - Throws: `DatasetError` with code `inconsistent` if the encoding names fields that it does not have.
    public init(encoding: JetEncoding, file: String) throws {
        self.encoding = encoding
        constituentFields = encoding.fields.indices.filter { encoding.fields[$0].role == .constituent }
        momentum = (encoding.lattice?.momentum ?? []).map { name in
            encoding.fields.firstIndex { $0.name == name } ?? 0
        }
        masses = pando_masses(encoding.lattice?.masses ?? [])
        try encoding.checkForward(file: file)
        forward = encoding.forward.map { ForwardDecoder($0, encoding: encoding) }
        guard encoding.version == 1 else {
            throw DatasetError(
                .unsupported, file: file, place: "encoding", message: "has version \(encoding.version), expected 1")
        }
        for field in encoding.fields where ![.plain, .forward, .flags].contains(field.storage) {
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

    /// Makes room, so that decoding that many jets need not.
    public func reserve(rows: Int, constituents: Int) {
        for buffer in [axisEta, axisPhi] { buffer.reserve(rows * 4) }
        for buffer in [constituentEta, constituentPhi, codes, energy] { buffer.reserve(constituents * 4) }
        ignored.reserve(constituents * 8)
        forward?.reserve(constituents: constituents)
    }

    /// Decodes all fields of a batch into `columns`, which must have been made for the encoding's fields.
    /// - Throws: `ArrowError`, or `DatasetError` with code `inconsistent` if a column is missing or of another type.
    public func decode(_ batch: RecordBatch, into columns: JetColumns, file: String) throws {
        let stored: StoredJets
        if let whole, whole.schema == batch.schema {
            stored = whole.stored
        } else {
            let all = encoding.fields.map { _ in true }
            stored = StoredJets(
                try StoredSelection(encoding: encoding, schema: batch.schema, isWanted: all, file: file))
            whole = (batch.schema, stored)
        }
        try stored.read(batch, using: decoder, file: file)
        try decode(stored, into: columns, file: file)
    }

    /// Decodes the fields that `stored` was selected for into `columns`, which must have been made for the encoding's
    /// fields; contents of the others are not defined.
    /// - Throws: `DatasetError` with code `inconsistent` if an exception names what is not there.
    public func decode(_ stored: StoredJets, into columns: JetColumns, file: String) throws(DatasetError) {
        let selection = stored.selection
        columns.resize(rows: stored.rows, constituents: stored.constituents)
        columns.offsets.base.copyMemory(from: stored.offsets.base, byteCount: (stored.rows + 1) * 4)
        for (index, place) in selection.places.enumerated() {
            guard let place else { continue }
            let count = stored.count(of: place), target = columns.fields[index].base
            let floats = target.assumingMemoryBound(to: Float.self)
            switch encoding.fields[index].storage {
            case .plain, .lattice:
                target.copyMemory(
                    from: stored.values(place, as: UInt8.self), byteCount: count * selection.columns[place].width)
            case .float16: pando_widen_half(count, stored.values(place, as: UInt16.self), floats)
            case .int16: pando_widen_int16(count, stored.values(place, as: Int16.self), floats)
            case .int8: pando_widen_int8(count, stored.values(place, as: Int8.self), floats)
            case .forward, .flags: break
            }
        }
        for flag in selection.forward.flags {
            guard let place = selection.forward.pid else { continue }
            pando_unfold_flag(
                stored.constituents, stored.values(place, as: Int8.self), flag.code,
                columns.fields[flag.field].base.assumingMemoryBound(to: Int32.self))
        }
        forward?.decodeMomenta(stored, into: columns)
        if selection.hasMomenta, let lattice = selection.lattice {
            var input = latticeInput(lattice, stored)
            energy.reserve(stored.constituents * 4)
            func out(_ component: Int) -> UnsafeMutablePointer<Float> {
                columns.fields[momentum[component]].base.assumingMemoryBound(to: Float.self)
            }
            pando_decode_momenta(
                stored.constituents, &input, constituentEta.numbers, constituentPhi.numbers, &masses, out(0), out(1),
                out(2), lattice.energyULP == nil ? energy.base.assumingMemoryBound(to: Float.self) : out(3))
        }
        func applyExceptions() throws(DatasetError) {
            try forEachException(stored, file: file) { place, field, bits in
                columns.fields[field].base.assumingMemoryBound(to: UInt32.self)[place] = bits
            }
        }
        try applyExceptions()
        // Predicted from the exact momenta; its own exceptions come once more.
        if let forward, forward.decodeEnergy(stored, into: columns) { try applyExceptions() }
    }

    /// The columns for the kernels; lattice indices of each constituent's jet axis lie ready afterwards.
    private func latticeInput(_ lattice: StoredSelection.Lattice, _ stored: StoredJets) -> pando_lattice {
        let rows = stored.rows, count = stored.constituents, offsets = stored.offsetNumbers.baseAddress
        axisEta.reserve(rows * 4)
        axisPhi.reserve(rows * 4)
        constituentEta.reserve(count * 4)
        constituentPhi.reserve(count * 4)
        pando_axis_index(
            rows, stored.values(lattice.axisEta, as: Float.self), stored.values(lattice.axisPhi, as: Float.self),
            axisEta.numbers, axisPhi.numbers)
        pando_repeat(rows, offsets, axisEta.numbers, constituentEta.numbers)
        pando_repeat(rows, offsets, axisPhi.numbers, constituentPhi.numbers)
        return pando_lattice(
            pt: stored.values(lattice.pt, as: UInt16.self), deta: stored.values(lattice.deta, as: Int16.self),
            dphi: stored.values(lattice.dphi, as: Int16.self), fix_eta: stored.values(lattice.fixEta, as: Int8.self),
            fix_phi: stored.values(lattice.fixPhi, as: Int8.self), energy_ulp: energyResiduals(lattice, stored),
            pdg: pdgCodes(lattice, stored))
    }

    private func energyResiduals(_ lattice: StoredSelection.Lattice, _ stored: StoredJets) -> UnsafePointer<Int8> {
        if let place = lattice.energyULP { return UnsafePointer(stored.values(place, as: Int8.self)) }
        // Not predicted: what comes out is not used.
        return UnsafePointer(stored.values(lattice.fixEta, as: Int8.self))
    }

    private func pdgCodes(_ lattice: StoredSelection.Lattice, _ stored: StoredJets) -> UnsafePointer<Int16> {
        guard let place = lattice.pdgId else {
            // Without energies no mass counts.
            return UnsafePointer(stored.values(lattice.deta, as: Int16.self))
        }
        let column = stored.selection.columns[place], count = stored.constituents
        if column.type == .int16 { return UnsafePointer(stored.values(place, as: Int16.self)) }
        codes.reserve(count * 2)
        ignored.reserve(count * 8)
        let narrow = codes.base.assumingMemoryBound(to: Int16.self)
        let mismatches = ignored.base.assumingMemoryBound(to: UInt32.self)
        let wide = (ignored.base + count * 4).assumingMemoryBound(to: Float.self)
        switch column.type {
        case .float16: pando_widen_half(count, stored.values(place, as: UInt16.self), wide)
        case .int8: pando_widen_int8(count, stored.values(place, as: Int8.self), wide)
        default: wide.update(from: stored.values(place, as: Float.self), count: count)
        }
        pando_narrow_int16(count, wide, narrow, mismatches, 0)
        return UnsafePointer(narrow)
    }

    /// Calls `body` with the constituent, the field of the encoding and the bits of each exception of a selected field.
    @inline(__always)
    func forEachException(
        _ stored: StoredJets, file: String, _ body: (_ constituent: Int, _ field: Int, _ bits: UInt32) -> Void
    ) throws(DatasetError) {
        guard let places = stored.selection.exceptions else { return }
        let positions = stored.values(places.position, as: UInt16.self)
        let fields = stored.values(places.field, as: UInt8.self), bits = stored.values(places.bits, as: UInt32.self)
        let ends = stored.exceptionNumbers, jets = stored.offsetNumbers
        guard stored.exceptions > 0 else { return }
        for row in 0..<stored.rows {
            for entry in Int(ends[row])..<Int(ends[row + 1]) {
                let place = Int(jets[row]) + Int(positions[entry]), number = Int(fields[entry])
                guard place < Int(jets[row + 1]), number < constituentFields.count,
                    encoding.mayExcept(encoding.fields[constituentFields[number]])
                else {
                    throw DatasetError(
                        .inconsistent, file: file, place: "row \(row), exception \(entry - Int(ends[row]))",
                        message: "names constituent \(positions[entry]) and field \(number), which are not there")
                }
                body(place, constituentFields[number], bits[entry])
            }
        }
    }

    /// Decodes pt (GeV), eta and phi (rad) of constituents as they are stored, without going through four-momenta: as CMS
    /// stored them, or as deta, dphi and the jet's axis say, which is within 1e-6 of what the momenta say. Where the source's
    /// px, py or pz are not those that follow from them, from these. Each has room for all constituents of `stored`, which
    /// was selected with angles.
    /// - Throws: `DatasetError` with code `inconsistent` if an exception names what is not there.
    public func decodeAngles(
        _ stored: StoredJets, pt: UnsafeMutablePointer<Float>, eta: UnsafeMutablePointer<Float>,
        phi: UnsafeMutablePointer<Float>, file: String
    ) throws(DatasetError) {
        if let forward {
            var angles = forward.decodeAngles(stored, pt: pt, eta: eta, phi: phi)
            return try forEachException(stored, file: file) { angles.correct($0, field: $1, bits: $2) }
        }
        guard let lattice = stored.selection.lattice else { return }
        var input = latticeInput(lattice, stored)
        pando_widen_half(stored.constituents, input.pt, pt)
        pando_decode_angles(stored.constituents, &input, constituentEta.numbers, constituentPhi.numbers, eta, phi)
        // The exceptions of one constituent follow each other.
        var last = -1
        var p = SIMD4<Float>()
        try forEachException(stored, file: file) { place, field, bits in
            guard let component = momentum.prefix(3).firstIndex(of: field) else { return }
            if place != last { p = momenta(of: place, input) }
            last = place
            p[component] = Float(bitPattern: bits)
            let z = Double(p.z), transverse = (Double(p.x) * Double(p.x) + Double(p.y) * Double(p.y)).squareRoot()
            var (angle, x, y) = (0.0, Double(p.x), Double(p.y))
            withUnsafePointer(to: z) { z in
                withUnsafePointer(to: transverse) { pando_pseudorapidity(1, z, $0, &angle) }
            }
            eta[place] = Float(angle)
            pando_azimuth(1, &y, &x, &angle)
            phi[place] = Float(angle)
            pt[place] = Float(transverse)
        }
    }

    /// px, py, pz, E of one constituent of the lattice.
    private func momenta(of place: Int, _ all: pando_lattice) -> SIMD4<Float> {
        var one = pando_lattice(
            pt: all.pt + place, deta: all.deta + place, dphi: all.dphi + place, fix_eta: all.fix_eta + place,
            fix_phi: all.fix_phi + place, energy_ulp: all.energy_ulp + place, pdg: all.pdg + place)
        var (x, y, z, energy) = (Float(), Float(), Float(), Float())
        pando_decode_momenta(
            1, &one, constituentEta.numbers + place, constituentPhi.numbers + place, &masses, &x, &y, &z, &energy)
        return SIMD4(x, y, z, energy)
    }
}

extension AlignedBuffer {
    fileprivate var numbers: UnsafeMutablePointer<Int32> { base.assumingMemoryBound(to: Int32.self) }
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
