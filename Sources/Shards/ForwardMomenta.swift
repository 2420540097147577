import Kernels

/// A code of folded flags and the mass that energies are predicted with.
public struct PidMass: Codable, Sendable, Equatable {
    /// The number of the flag, 0...4, or 5 for none.
    public var pid: Int
    /// The mass in GeV.
    public var mass: Double

    /// A mass for a code.
    public init(pid: Int, mass: Double) {
        self.pid = pid
        self.mass = mass
    }
}

/// Four-momenta stored as residuals of what pt, deta, dphi and the jet's axis predict: which fields take part.
public struct ForwardMomenta: Codable, Sendable, Equatable {
    /// Names of the fields px, py, pz, E.
    public var momentum: [String]
    /// Names of the fields deta, dphi, which are stored as they are.
    public var angles: [String]
    /// Names of the jet columns that hold the axis: eta, phi.
    public var axis: [String]
    /// Whether E is predicted and stored as a residual; otherwise it is a column of its own. Needs folded flags.
    public var predictsEnergy: Bool
    /// Masses in GeV by code of the folded flags; other codes have mass 0.
    public var masses: [PidMass]

    /// A description from its parts.
    public init(momentum: [String], angles: [String], axis: [String], predictsEnergy: Bool, masses: [PidMass]) {
        self.momentum = momentum
        self.angles = angles
        self.axis = axis
        self.predictsEnergy = predictsEnergy
        self.masses = masses
    }
}

extension JetEncoding {
    /// The names of px, py, pz and E, if the encoding says which fields these are.
    public var momentum: [String]? { lattice?.momentum ?? forward?.momentum }

    /// What a reader must know of the encoding: names for the catalogue's `features`.
    public var features: [String] {
        var names: [String] = []
        if fields.contains(where: { $0.storage != .plain }) { names.append("exceptions") }
        if lattice != nil { names.append("lattice") }
        if forward != nil || flags != nil { names.append("forward") }
        return names
    }

    /// Whether exceptions may name a field.
    func mayExcept(_ field: SourceField) -> Bool {
        field.role == .constituent && (field.type == .float32 || field.storage == .flags)
    }

    /// Holds what is said of the forward layout and of flags against the fields.
    /// - Throws: `DatasetError` with code `inconsistent`.
    func checkForward(file: String) throws(DatasetError) {
        func fault(_ message: String) -> DatasetError {
            DatasetError(.inconsistent, file: file, place: "encoding", message: message)
        }
        func isThere(_ name: String, _ type: ElementType, _ storage: FieldStorage, isConstituent: Bool = true) -> Bool {
            let found = fields.filter { $0.name == name }
            return found.count == 1
                && found.allSatisfy {
                    $0.type == type && $0.storage == storage && ($0.role == .constituent) == isConstituent
                }
        }
        if let flags {
            guard flags.count == PANDO_FLAGS, Set(flags).count == flags.count,
                flags.allSatisfy({ isThere($0, .int32, .flags) })
            else { throw fault("the folded flags are not five int32 fields of constituents") }
        }
        let known = Set((forward?.momentum ?? []) + (flags ?? []))
        for field in fields where [.forward, .flags].contains(field.storage) && !known.contains(field.name) {
            throw fault("field \(field.name) is stored as \(field.storage), which the encoding does not describe")
        }
        guard let forward else { return }
        guard lattice == nil else { throw fault("has momenta both on the lattice and in the forward layout") }
        guard !forward.predictsEnergy || flags != nil else { throw fault("predicts energies without folded flags") }
        guard forward.momentum.count == 4, Set(forward.momentum).count == 4, forward.angles.count == 2,
            forward.axis.count == 2,
            forward.momentum.prefix(3).allSatisfy({ isThere($0, .float32, .forward) }),
            forward.momentum.dropFirst(3).allSatisfy({
                isThere($0, .float32, forward.predictsEnergy ? .forward : .plain)
            }), forward.angles.allSatisfy({ isThere($0, .float32, .plain) }),
            forward.axis.allSatisfy({ isThere($0, .float32, .plain, isConstituent: false) })
        else { throw fault("the forward layout names fields that do not fit") }
    }
}

extension pando_pid_masses {
    /// The table for the kernels; entries for other codes are left out (an encoding never has them).
    public init(_ masses: [PidMass]) {
        self.init()
        withUnsafeMutableBytes(of: &mass) { table in
            for entry in masses where (0...PANDO_FLAGS).contains(entry.pid) {
                table.storeBytes(of: entry.mass, toByteOffset: 8 * entry.pid, as: Double.self)
            }
        }
    }
}
