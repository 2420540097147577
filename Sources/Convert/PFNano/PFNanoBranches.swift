import ROOTFile
import Shards
import Support

/// The branches of a PFNano tree that a conversion reads.
struct PFNanoBranches: Sendable {
    /// Where a field of the schema comes from.
    enum Place: Sendable {
        /// A number of the event, by its place among `values`.
        case event(Int)
        /// One of each jet.
        case jet(Int)
        /// One of each candidate.
        case candidate(Int)
        /// A component of the computed momentum.
        case momentum(Int)
        /// Not in the file.
        case absent
    }

    let tree: ROOTTree
    /// What choosing jets needs: run, luminosity block, triggers, filters, cuts, and what a match needs.
    let certifying: [ROOTColumn]
    let triggers: [ROOTColumn]
    let filters: [ROOTColumn]
    let cuts: [ROOTColumn]
    /// eta and phi of jets; codes, mothers, flags, eta and phi of generated particles; nothing without a match.
    let matching: [ROOTColumn]
    /// The event's weight; nil in data.
    let weight: ROOTColumn?
    /// What rows are made from: the fields' branches, links, pt, eta, phi and mass of candidates.
    let values: [ROOTColumn]
    /// Of each field of the schema.
    let places: [Place]
    /// Places of the two link branches and the four kinematic ones among `values`.
    let links: (jet: Int, candidate: Int)
    let kinematics: [Int]
    let absent: Set<String>
    /// Triggers and filters of the selection that the tree does not have.
    let missingTriggers: [String]
    let missingFilters: [String]

    /// - Throws: `ConvertError` with code `input` that names a needed branch that is missing or of another kind; `ROOTError`.
    init(_ tree: ROOTTree, _ schema: SourceSchema, _ choice: SelectionChoice, path: String) throws {
        self.tree = tree
        let selection = choice.selection
        func needed(_ name: String, jagged: Bool, _ kinds: [ROOTElement]) throws -> ROOTColumn {
            do {
                let found = try tree.column(name)
                guard found.isJagged == jagged, found.shape.isEmpty, kinds.contains(found.element) else {
                    throw ConvertError(
                        .input, file: path, place: "branch \(name)",
                        message: "holds \(found.typeName), expected \(kinds.map(\.rawValue).joined(separator: " or "))"
                            + (jagged ? " for each entry of its collection" : " for each event"))
                }
                return found
            } catch let error as ROOTError where error.code == .missing {
                throw ConvertError(
                    .input, file: path, place: "tree \(tree.name)", message: "has no branch \(name), which is needed",
                    advice: error.advice)
            }
        }
        func flags(_ names: [String]) throws -> [ROOTColumn] {
            try names.filter(tree.hasBranch).map { try needed($0, jagged: false, Self.booleans) }
        }
        certifying =
            try choice.golden == nil
            ? [] : ["run", "luminosityBlock"].map { try needed($0, jagged: false, [.uint32, .int32]) }
        triggers = try flags(selection.triggers)
        filters = try flags(selection.filters)
        missingTriggers = selection.triggers.filter { !tree.hasBranch($0) }
        missingFilters = selection.filters.filter { !tree.hasBranch($0) }
        cuts = try selection.cuts.map { try needed($0.branch, jagged: true, Self.numbers) }
        if choice.match != nil {
            let jets = try ["eta", "phi"].map { try needed("\(selection.jets)_\($0)", jagged: true, [.float32]) }
            let codes = try ["pdgId", "genPartIdxMother", "statusFlags"].map {
                try needed("GenPart_\($0)", jagged: true, [.int32])
            }
            matching = try jets + codes + ["eta", "phi"].map { try needed("GenPart_\($0)", jagged: true, [.float32]) }
        } else {
            matching = []
        }
        weight = tree.hasBranch("genWeight") ? try needed("genWeight", jagged: false, [.float32]) : nil

        var values: [ROOTColumn] = [], places: [Place] = [], absent: Set<String> = []
        let candidates = selection.constituents.candidates
        var component = 0
        for field in schema.fields {
            guard let column = schema.column(field.name) else { continue }
            let name = column.branch ?? column.name
            switch column.from {
            case .momentum?:
                places.append(.momentum(component))
                component += 1
                continue
            case .class?, .folder?:
                throw ConvertError(
                    .schema, file: schema.name, place: "column \(column.name)",
                    message: "has no meaning for PFNano files")
            case .generator?, nil: break
            }
            guard tree.hasBranch(name) || column.optional != true else {
                absent.insert(field.name)
                places.append(.absent)
                continue
            }
            let isJet = name.hasPrefix(selection.jets + "_"), isCandidate = name.hasPrefix(candidates + "_")
            let found = try needed(name, jagged: isJet || isCandidate, Self.numbers)
            guard (field.role == .constituent) == isCandidate, Self.converts(found.element, to: field.type) else {
                throw ConvertError(
                    .input, file: path, place: "branch \(name)",
                    message: "holds \(found.typeName), from which column \(column.name) of type "
                        + "\(field.type.rawValue)\(field.role == .constituent ? " of constituents" : "") cannot come")
            }
            places.append(isCandidate ? .candidate(values.count) : isJet ? .jet(values.count) : .event(values.count))
            values.append(found)
        }
        let numbers = selection.constituents
        links = (values.count, values.count + 1)
        for name in [numbers.jetIndex, numbers.candidateIndex] {
            values.append(try needed(name, jagged: true, [.int32]))
        }
        kinematics = (0..<4).map { values.count + $0 }
        for name in ["pt", "eta", "phi", "mass"] {
            values.append(try needed("\(candidates)_\(name)", jagged: true, [.float32]))
        }
        self.values = values
        self.places = places
        self.absent = absent
    }

    private static let booleans: [ROOTElement] = [.bool, .uint8, .int8]
    private static let numbers: [ROOTElement] = [
        .bool, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .float32, .float64,
    ]

    /// Whether numbers are stored as another type: to int64 from integers, to float32 from whatever the original casts.
    static func converts(_ element: ROOTElement, to type: ElementType) -> Bool {
        switch type {
        case .float32: element != .string
        case .int64: ![.string, .float32, .float64].contains(element)
        default: element.elementType == type
        }
    }

    /// All branches of the first pass.
    var choosing: [ROOTColumn] { certifying + triggers + filters + cuts + matching + (weight.map { [$0] } ?? []) }
}

extension ROOTValues {
    /// Stores a value as float32 or int64, or as it is.
    func convert(_ index: Int, to type: ElementType, _ target: UnsafeMutableRawPointer, _ row: Int) {
        switch type {
        case .float32:
            target.storeBytes(
                of: element == .float32 ? values(as: Float.self)[index] : Float(double(index)), toByteOffset: 4 * row,
                as: Float.self)
        case .int64: target.storeBytes(of: integer(index), toByteOffset: 8 * row, as: Int64.self)
        default:
            let width = type.width
            if let from = bytes.baseAddress {
                (target + row * width).copyMemory(from: from + index * width, byteCount: width)
            }
        }
    }

    /// A value as a double.
    @inline(__always)
    func double(_ index: Int) -> Double {
        switch element {
        case .float32: Double(values(as: Float.self)[index])
        case .float64: values(as: Double.self)[index]
        case .uint64: Double(values(as: UInt64.self)[index])
        default: Double(integer(index))
        }
    }

    /// A value as an integer; 0 of others.
    @inline(__always)
    func integer(_ index: Int) -> Int64 {
        switch element {
        case .bool, .uint8: Int64(values(as: UInt8.self)[index])
        case .int8: Int64(values(as: Int8.self)[index])
        case .int16: Int64(values(as: Int16.self)[index])
        case .uint16: Int64(values(as: UInt16.self)[index])
        case .int32: Int64(values(as: Int32.self)[index])
        case .uint32: Int64(values(as: UInt32.self)[index])
        case .int64: values(as: Int64.self)[index]
        // As NumPy casts: event numbers beyond 2^63 do not occur.
        case .uint64: Int64(bitPattern: values(as: UInt64.self)[index])
        case .float32, .float64, .string: 0
        }
    }
}
