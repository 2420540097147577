import ArrowIPC

/// What a column describes.
public enum ColumnRole: String, Codable, Sendable {
    /// Numbers of the event that the jet is from.
    case event
    /// A number of the jet.
    case jet
    /// One number for each constituent.
    case constituent
    /// The class of the jet.
    case label
}

/// The element types of sources.
public enum ElementType: String, Codable, Sendable, CaseIterable {
    case int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

    /// Bytes of one element.
    public var width: Int {
        switch self {
        case .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// The Arrow type that stores it unchanged.
    public var arrow: ArrowType {
        switch self {
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .float32: .float32
        case .float64: .float64
        }
    }
}

/// How the values of a source field are stored.
public enum FieldStorage: String, Codable, Sendable {
    /// In the source's own type, bit for bit.
    case plain
    /// float32 narrowed to float16; what does not come back is an exception.
    case float16
    /// float32 narrowed to int16; what does not come back is an exception.
    case int16
    /// float32 narrowed to int8; what does not come back is an exception.
    case int8
    /// Part of the four-momentum that is stored on the lattice of CMS.
    case lattice
    /// Part of the four-momentum that is stored as a residual of what pt, deta, dphi and the jet's axis predict.
    case forward
    /// int32, one of the flags that are folded into one code; what does not come back is an exception.
    case flags
}

/// A column of the source: where it came from and how it is stored.
public struct SourceField: Codable, Sendable, Equatable {
    /// The name, also of the stored column unless the storage is `lattice`, `forward` or `flags`.
    public var name: String
    /// The source's dataset, for example `PFCands`.
    public var dataset: String
    /// The number of the column in that dataset.
    public var column: Int
    /// The source's element type.
    public var type: ElementType
    /// What it describes.
    public var role: ColumnRole
    /// How it is stored.
    public var storage: FieldStorage

    /// A field from its parts.
    public init(
        name: String, dataset: String, column: Int, type: ElementType, role: ColumnRole, storage: FieldStorage = .plain
    ) {
        self.name = name
        self.dataset = dataset
        self.column = column
        self.type = type
        self.role = role
        self.storage = storage
    }
}

/// A PDG code and the mass that energies are predicted with.
public struct CodeMass: Codable, Sendable, Equatable {
    /// The absolute PDG code.
    public var pdgId: Int32
    /// The mass in GeV.
    public var mass: Double

    /// A mass for a code.
    public init(pdgId: Int32, mass: Double) {
        self.pdgId = pdgId
        self.mass = mass
    }
}

/// Four-momenta on the lattice: which fields take part.
public struct LatticeMomenta: Codable, Sendable, Equatable {
    /// Names of the fields px, py, pz, E.
    public var momentum: [String]
    /// Name of the field with PDG codes, which gives the mass.
    public var pdgId: String
    /// Names of the jet columns that hold the axis: eta, phi.
    public var axis: [String]
    /// Whether E is predicted and stored as a residual; otherwise it is a column of its own.
    public var predictsEnergy: Bool
    /// Masses in GeV by absolute PDG code; other codes have mass 0. At most eight.
    public var masses: [CodeMass]
    /// Step of `deta`.
    public var etaStep = "6/32767"
    /// Step of `dphi`, in rad.
    public var phiStep = "3.2/32767"
    /// Explicit mantissa bits of eta and phi.
    public var mantissaBits = 12

    /// A description from its parts.
    public init(momentum: [String], pdgId: String, axis: [String], predictsEnergy: Bool, masses: [CodeMass]) {
        self.momentum = momentum
        self.pdgId = pdgId
        self.axis = axis
        self.predictsEnergy = predictsEnergy
        self.masses = masses
    }
}

/// How jets are stored in the shards of a dataset (docs/format.md): all that decoding needs to know.
public struct JetEncoding: Codable, Sendable, Equatable {
    /// The version of the encoding.
    public var version = 1
    /// All source fields: constituent fields first, in the order that numbers them in `x_field`; then the others.
    public var fields: [SourceField]
    /// The lattice layout of four-momenta, if it was chosen.
    public var lattice: LatticeMomenta?
    /// The forward layout of four-momenta, if it was chosen.
    public var forward: ForwardMomenta?
    /// Names of the flags that are folded into the column `pid`, in the order of its codes; nil if they are not.
    public var flags: [String]?

    /// An encoding from its parts.
    public init(
        fields: [SourceField], lattice: LatticeMomenta?, forward: ForwardMomenta? = nil, flags: [String]? = nil
    ) {
        self.fields = fields
        self.lattice = lattice
        self.forward = forward
        self.flags = flags
    }

    /// The constituent fields; their positions are the numbers in `x_field`.
    public var constituentFields: [SourceField] { fields.filter { $0.role == .constituent } }

    /// Fields with one value a jet.
    public var jetFields: [SourceField] { fields.filter { $0.role != .constituent } }
}

/// Names of columns that the encoding itself brings.
public enum StoredColumn {
    /// Transverse momentum, GeV: float16 on the lattice, float32 in the forward layout.
    public static let pt = "pt"
    /// eta minus the jet's, in lattice steps.
    public static let deta = "deta"
    /// phi minus the jet's, in lattice steps.
    public static let dphi = "dphi"
    /// Correction of eta, in grid steps.
    public static let fixEta = "fix_eta"
    /// Correction of phi, in grid steps.
    public static let fixPhi = "fix_phi"
    /// E minus predicted E, in units of the last place of float32.
    public static let energyULP = "energy_ulp"
    /// px, py, pz, E minus what the forward layout predicts, in units of the last place of float32.
    public static let momentumULP = ["px_ulp", "py_ulp", "pz_ulp", energyULP]
    /// Which of five flags is set; 5: none.
    public static let pid = "pid"
    /// Exceptions: index of the constituent.
    public static let exceptionPosition = "x_pos"
    /// Exceptions: number of the constituent field.
    public static let exceptionField = "x_field"
    /// Exceptions: the original 32 bits.
    public static let exceptionBits = "x_bits"
    /// Number of the input file.
    public static let source = "source"
    /// Row in the input file.
    public static let sourceRow = "source_row"
    /// Number of constituents.
    public static let constituents = "n_constituents"
    /// Transverse momentum, eta, phi and mass of the sum of all stored constituents.
    public static let axis = ["sum_pt", "sum_eta", "sum_phi", "sum_mass"]
}
