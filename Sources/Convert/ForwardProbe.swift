import Shards
import Support

/// Tries the forward layout and the folding of flags on the first rows of the inputs.
struct ForwardProbe {
    /// Constituents of which something did not come back.
    struct Misses {
        var momenta = 0
        var energies = 0
        var flags = 0

        mutating func add(_ other: Misses) {
            momenta += other.momenta
            energies += other.energies
            flags += other.flags
        }
    }

    private let schema: SourceSchema.Forward
    private let fields: [SourceField]
    private let encoder: ForwardEncoder
    private let parts = (0..<6).map { _ in AlignedBuffer() }
    private let mismatch = AlignedBuffer()

    init(_ schema: SourceSchema.Forward, fields: [SourceField]) {
        self.schema = schema
        self.fields = fields
        encoder = ForwardEncoder(
            JetEncoding(
                fields: fields, lattice: nil, forward: Self.momenta(schema, predictsEnergy: true), flags: schema.flags))
    }

    private static func momenta(_ schema: SourceSchema.Forward, predictsEnergy: Bool) -> ForwardMomenta {
        ForwardMomenta(
            momentum: schema.momentum, angles: schema.angles, axis: schema.axis, predictsEnergy: predictsEnergy,
            masses: schema.masses)
    }

    /// Counts what does not come back in some rows.
    func look(at columns: JetColumns) -> Misses {
        let count = columns.constituents
        mismatch.reserve(count * 4)
        mismatch.base.initializeMemory(as: UInt8.self, repeating: 0, count: count * 4)
        let missed = mismatch.base.assumingMemoryBound(to: UInt32.self)
        let names = schema.momentum
        encoder.encode(
            columns, missed, bits: { names.firstIndex(of: fields[$0].name) == 3 ? 2 : isMomentum($0) ? 1 : 4 }
        ) {
            parts[$0.rawValue]
        }
        var misses = Misses()
        for place in 0..<count {
            if missed[place] & 1 != 0 { misses.momenta += 1 }
            if missed[place] & 2 != 0 { misses.energies += 1 }
            if missed[place] & 4 != 0 { misses.flags += 1 }
        }
        return misses
    }

    private func isMomentum(_ field: Int) -> Bool { schema.momentum.contains(fields[field].name) }

    /// The encoding for what was seen of `values` constituents.
    func encoding(_ known: [SourceField], _ misses: Misses, of values: Int) -> JetEncoding {
        func share(_ missed: Int) -> Double { values > 0 ? Double(missed) / Double(values) : 0 }
        var chosen = known
        func store(_ names: some Sequence<String>, as storage: FieldStorage) {
            for name in names {
                if let index = chosen.firstIndex(where: { $0.name == name }) { chosen[index].storage = storage }
            }
        }
        let foldsFlags = share(misses.flags) <= LayoutProbe.tolerated
        if foldsFlags { store(schema.flags, as: .flags) }
        var momenta: ForwardMomenta?
        if share(misses.momenta) <= LayoutProbe.tolerated {
            // Masses go by the code of the flags.
            let predictsEnergy = foldsFlags && share(misses.energies) <= LayoutProbe.toleratedEnergies
            store(schema.momentum.prefix(predictsEnergy ? 4 : 3), as: .forward)
            momenta = Self.momenta(schema, predictsEnergy: predictsEnergy)
        }
        return JetEncoding(fields: chosen, lattice: nil, forward: momenta, flags: foldsFlags ? schema.flags : nil)
    }
}
