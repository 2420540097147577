import Kernels
import Shards
import Support

/// Chooses how columns are stored by trying it on the first rows of the inputs.
///
/// Exceptions keep any later surprise lossless, only larger; so a look at some rows is enough.
struct LayoutProbe {
    /// Rows of an input that are looked at.
    static let rowsOfInput = 4096
    /// Inputs that are looked at.
    static let inputs = 64
    /// At most this share of inexact values for a narrow type or the lattice.
    static let tolerated = 0.02
    /// At most this share of inexact energies for predicting them.
    static let toleratedEnergies = 0.1

    private let schema: SourceSchema
    private let fields: [SourceField]
    private var values = 0
    private var misses: [Int]
    private var momentumMisses = 0
    private var energyMisses = 0
    // Held here, not in locals: pointers into an array's buffers do not keep the array alive.
    private let scratch = (0..<11).map { _ in AlignedBuffer() }
    private let forward: ForwardProbe?
    private var forwardMisses = ForwardProbe.Misses()

    init(schema: SourceSchema) {
        self.schema = schema
        fields = schema.fields
        misses = fields.map { _ in 0 }
        let fields = fields
        forward = schema.forward.map { ForwardProbe($0, fields: fields) }
    }

    /// Looks at some rows.
    mutating func look(at columns: JetColumns) {
        let count = columns.constituents
        values += count
        let mismatch = AlignedBuffer(capacity: count * 4), out = AlignedBuffer(capacity: count * 8)
        let missed = mismatch.base.assumingMemoryBound(to: UInt32.self)
        func clear() { mismatch.base.initializeMemory(as: UInt8.self, repeating: 0, count: count * 4) }
        for (index, field) in fields.enumerated() {
            guard let storage = schema.column(field.name)?.narrow else { continue }
            clear()
            let source = columns.fields[index].base.assumingMemoryBound(to: Float.self)
            switch storage {
            case .float16: pando_narrow_half(count, source, out.base.assumingMemoryBound(to: UInt16.self), missed, 1)
            case .int16: pando_narrow_int16(count, source, out.base.assumingMemoryBound(to: Int16.self), missed, 1)
            case .int8: pando_narrow_int8(count, source, out.base.assumingMemoryBound(to: Int8.self), missed, 1)
            case .plain, .lattice, .forward, .flags: break
            }
            misses[index] += pando_count_mismatches(count, missed)
        }
        if let forward { forwardMisses.add(forward.look(at: columns)) }
        guard let momenta = schema.momenta?.lattice, count > 0 else { return }
        clear()
        tryLattice(momenta, columns, missed)
        for place in 0..<count {
            if missed[place] & 7 != 0 { momentumMisses += 1 }
            if missed[place] & 8 != 0 { energyMisses += 1 }
        }
    }

    private func tryLattice(
        _ momenta: LatticeMomenta, _ columns: JetColumns, _ missed: UnsafeMutablePointer<UInt32>
    ) {
        let count = columns.constituents, rows = columns.rows
        func floats(_ name: String) -> UnsafeMutablePointer<Float> {
            columns.fields[fields.firstIndex { $0.name == name } ?? 0].base.assumingMemoryBound(to: Float.self)
        }
        func out<T>(_ number: Int, _ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
            scratch[number].reserve(count * MemoryLayout<T>.size)
            return scratch[number].base.assumingMemoryBound(to: type)
        }
        let index = (7...8).map { out($0, Int32.self, rows) }
        let indices = (9...10).map { out($0, Int32.self, count) }
        pando_axis_index(rows, floats(momenta.axis[0]), floats(momenta.axis[1]), index[0], index[1])
        for part in 0..<2 { pando_repeat(rows, columns.offsetNumbers.baseAddress, index[part], indices[part]) }
        pando_narrow_int16(count, floats(momenta.pdgId), out(6, Int16.self, count), missed, 0)
        var target = pando_lattice_out(
            pt: out(0, UInt16.self, count), deta: out(1, Int16.self, count), dphi: out(2, Int16.self, count),
            fix_eta: out(3, Int8.self, count),
            fix_phi: out(4, Int8.self, count), energy_ulp: out(5, Int8.self, count))
        var masses = pando_masses(momenta.masses)
        let p = momenta.momentum.map(floats)
        pando_encode_momenta(
            count, p[0], p[1], p[2], p[3], out(6, Int16.self, count), indices[0], indices[1], &masses, &target,
            [1, 2, 4, 8],
            missed)
    }

    /// The encoding for what was seen.
    func encoding() -> JetEncoding {
        var chosen = fields
        func share(_ missed: Int) -> Double { values > 0 ? Double(missed) / Double(values) : 0 }
        for (index, field) in fields.enumerated() {
            if let storage = schema.column(field.name)?.narrow, share(misses[index]) <= Self.tolerated {
                chosen[index].storage = storage
            }
        }
        if let forward { return forward.encoding(chosen, forwardMisses, of: values) }
        guard var momenta = schema.momenta?.lattice, share(momentumMisses) <= Self.tolerated else {
            return JetEncoding(fields: chosen, lattice: nil)
        }
        momenta.predictsEnergy = share(energyMisses) <= Self.toleratedEnergies
        for name in momenta.momentum.prefix(momenta.predictsEnergy ? 4 : 3) {
            if let index = chosen.firstIndex(where: { $0.name == name }) { chosen[index].storage = .lattice }
        }
        return JetEncoding(fields: chosen, lattice: momenta)
    }
}
