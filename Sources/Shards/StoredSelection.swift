import ArrowIPC
import Support

/// The stored columns that some fields of a dataset are decoded from.
public struct StoredSelection: Sendable {
    /// Which offsets a column has.
    public enum Kind: UInt8, Sendable {
        /// One value a jet.
        case jet
        /// A value for each constituent.
        case constituent
        /// A value for each exception.
        case exception
    }

    /// A stored column.
    public struct Column: Sendable {
        /// The name.
        public let name: String
        /// Its number in the schema.
        public let number: Int
        /// The type of its values.
        public let type: ArrowType
        /// Bytes of a value.
        public let width: Int
        /// Which offsets it has.
        public let kind: Kind

        /// Bytes of its values for so many jets.
        func byteCount(rows: Int, constituents: Int, exceptions: Int) -> Int {
            switch kind {
            case .jet: width * rows
            case .constituent: width * constituents
            case .exception: width * exceptions
            }
        }
    }

    /// Places of the columns that momenta on the lattice are made from.
    struct Lattice: Sendable {
        let pt, deta, dphi, fixEta, fixPhi, axisEta, axisPhi: Int
        /// Nil if no four-momenta are asked for.
        let pdgId: Int?
        /// Nil if the energy is not predicted or no four-momenta are asked for.
        let energyULP: Int?
    }

    /// Places of the columns that momenta of the forward layout and folded flags are made from; nil: not needed.
    struct Forward: Sendable {
        var pt, deta, dphi, axisEta, axisPhi: Int?
        /// Residuals of px, py, pz, E.
        var ulp: [Int?] = [nil, nil, nil, nil]
        var pid: Int?
        /// The flags that are asked for: code and number of the field.
        var flags: [(code: Int32, field: Int)] = []
    }

    /// The columns, each once.
    public private(set) var columns: [Column] = []
    /// For each field of the encoding its place among the columns; nil if it is not asked for or no column of its own.
    let places: [Int?]
    /// What momenta on the lattice are made from; nil if none are asked for.
    let lattice: Lattice?
    /// What momenta of the forward layout and flags are made from.
    let forward: Forward
    /// Whether px, py, pz or E on the lattice are asked for.
    let hasMomenta: Bool
    /// Whether pt, eta and phi as they are stored are asked for.
    public let hasAngles: Bool
    /// Places of the three columns of exceptions; nil if none apply.
    let exceptions: (position: Int, field: Int, bits: Int)?
    /// The column that offsets are read from; nil if jets have no constituents.
    let offsets: Int?
    let encoding: JetEncoding

    /// Finds the columns.
    /// - Parameters:
    ///   - isWanted: Which fields of the encoding are decoded.
    ///   - wantsAngles: Whether pt, eta and phi of constituents are decoded as well; needs the lattice or the forward layout.
    /// - Throws: `DatasetError` with code `inconsistent` if a column is missing or of another type.
    public init(
        encoding: JetEncoding, schema: ArrowSchema, isWanted: [Bool], wantsAngles: Bool = false, file: String
    ) throws(DatasetError) {
        try encoding.checkForward(file: file)
        var columns: [Column] = []
        func place(_ name: String, _ type: ArrowType, _ kind: Kind) throws(DatasetError) -> Int {
            if let known = columns.firstIndex(where: { $0.name == name }) {
                guard columns[known].type == type, columns[known].kind == kind else {
                    throw DatasetError(
                        .inconsistent, file: file, place: "column \(name)",
                        message: "is needed as \(type) and as \(columns[known].type)")
                }
                return known
            }
            guard let number = schema.fields.firstIndex(where: { $0.name == name }) else {
                throw DatasetError(.inconsistent, file: file, place: "column \(name)", message: "is missing")
            }
            let found = schema.fields[number].type, expected: ArrowType = kind == .jet ? type : .list(type)
            guard found == expected else {
                throw DatasetError(
                    .inconsistent, file: file, place: "column \(name)",
                    message: "has type \(found), expected \(expected)")
            }
            columns.append(Column(name: name, number: number, type: type, width: type.byteWidth ?? 0, kind: kind))
            return columns.count - 1
        }
        func place(_ field: SourceField) throws(DatasetError) -> Int {
            let type: ArrowType =
                switch field.storage {
                case .plain, .lattice, .forward, .flags: field.type.arrow
                case .float16: .float16
                case .int16: .int16
                case .int8: .int8
                }
            return try place(field.name, type, field.role == .constituent ? .constituent : .jet)
        }
        func field(_ name: String) throws(DatasetError) -> SourceField {
            guard let field = encoding.fields.first(where: { $0.name == name }) else {
                throw DatasetError(.inconsistent, file: file, place: "encoding", message: "has no field \(name)")
            }
            return field
        }
        let momentum = encoding.lattice?.momentum ?? []
        let wanted = zip(encoding.fields, isWanted).filter(\.1).map(\.0)
        hasMomenta = encoding.lattice != nil && wanted.contains { momentum.contains($0.name) }
        hasAngles = wantsAngles && (encoding.lattice != nil || encoding.forward != nil)
        if let layout = encoding.lattice, hasMomenta || wantsAngles {
            lattice = Lattice(
                pt: try place(StoredColumn.pt, .float16, .constituent),
                deta: try place(StoredColumn.deta, .int16, .constituent),
                dphi: try place(StoredColumn.dphi, .int16, .constituent),
                fixEta: try place(StoredColumn.fixEta, .int8, .constituent),
                fixPhi: try place(StoredColumn.fixPhi, .int8, .constituent),
                axisEta: try place(field(layout.axis[0])), axisPhi: try place(field(layout.axis[1])),
                pdgId: hasMomenta ? try place(field(layout.pdgId)) : nil,
                energyULP: hasMomenta && layout.predictsEnergy
                    ? try place(StoredColumn.energyULP, .int8, .constituent) : nil)
        } else {
            lattice = nil
        }
        forward = try Self.forward(
            encoding, isWanted, wantsAngles: wantsAngles,
            place: { name, type throws(DatasetError) in try place(name, type, .constituent) },
            field: { name throws(DatasetError) in try place(field(name)) })
        var places: [Int?] = []
        for (field, isWanted) in zip(encoding.fields, isWanted) {
            let isMade = [.lattice, .forward, .flags].contains(field.storage)
            places.append(isWanted && !isMade ? try place(field) : nil)
        }
        self.places = places
        let mayExcept = hasAngles || wanted.contains(where: encoding.mayExcept)
        if mayExcept, schema.fields.contains(where: { $0.name == StoredColumn.exceptionPosition }) {
            exceptions = (
                try place(StoredColumn.exceptionPosition, .uint16, .exception),
                try place(StoredColumn.exceptionField, .uint8, .exception),
                try place(StoredColumn.exceptionBits, .uint32, .exception)
            )
        } else {
            exceptions = nil
        }
        // Offsets are wanted in any case; all constituent columns share them, and this one is the smallest.
        if columns.contains(where: { $0.kind == .constituent }) {
            offsets = columns.firstIndex { $0.kind == .constituent }
        } else if encoding.lattice != nil {
            offsets = try place(StoredColumn.fixEta, .int8, .constituent)
        } else if encoding.flags != nil {
            offsets = try place(StoredColumn.pid, .int8, .constituent)
        } else if encoding.forward != nil {
            offsets = try place(StoredColumn.momentumULP[0], .int8, .constituent)
        } else {
            offsets = try encoding.constituentFields.first.map { field throws(DatasetError) in try place(field) }
        }
        self.encoding = encoding
        self.columns = columns
    }

    /// The columns for the fields of the forward layout and the flags that are asked for.
    private static func forward(
        _ encoding: JetEncoding, _ isWanted: [Bool], wantsAngles: Bool,
        place: (String, ArrowType) throws(DatasetError) -> Int, field: (String) throws(DatasetError) -> Int
    ) throws(DatasetError) -> Forward {
        var found = Forward()
        let isAsked = { (name: String) in zip(encoding.fields, isWanted).contains { $0.name == name && $1 } }
        for (code, name) in (encoding.flags ?? []).enumerated() where isAsked(name) {
            guard let number = encoding.fields.firstIndex(where: { $0.name == name }) else { continue }
            found.pid = try place(StoredColumn.pid, .int8)
            found.flags.append((Int32(truncatingIfNeeded: code), number))
        }
        guard let layout = encoding.forward else { return found }
        let isEnergy = layout.predictsEnergy && isAsked(layout.momentum[3])
        let parts = layout.momentum.prefix(3).map { isEnergy || isAsked($0) }
        for part in 0..<3 where parts[part] { found.ulp[part] = try place(StoredColumn.momentumULP[part], .int8) }
        if isEnergy {
            found.ulp[3] = try place(StoredColumn.energyULP, .int8)
            found.pid = try place(StoredColumn.pid, .int8)
        }
        if wantsAngles || parts.contains(true) { found.pt = try place(StoredColumn.pt, .float32) }
        if wantsAngles || parts[0] || parts[1] {
            found.dphi = try field(layout.angles[1])
            found.axisPhi = try field(layout.axis[1])
        }
        if wantsAngles || parts[2] {
            found.deta = try field(layout.angles[0])
            found.axisEta = try field(layout.axis[0])
        }
        return found
    }

    /// The place of a column by its name; nil if it is not among them.
    public func place(of name: String) -> Int? { columns.firstIndex { $0.name == name } }

    /// Bytes of the columns and offsets of so many jets in memory.
    public func byteCount(rows: Int, constituents: Int, exceptions: Int) -> Int {
        columns.reduce(8 * (rows + 1)) {
            $0 + $1.byteCount(rows: rows, constituents: constituents, exceptions: exceptions)
        }
    }

    /// Bytes of an arena that holds that much.
    public func arenaBytes(rows: Int, constituents: Int, exceptions: Int) -> Int {
        columns.reduce(2 * Arena.rounded(4 * (rows + 1))) {
            $0 + Arena.rounded($1.byteCount(rows: rows, constituents: constituents, exceptions: exceptions))
        }
    }
}
