import Foundation
import Shards
import Support

/// What the datasets of a source mean: a JSON file under `schemas/sources`, or one of the user's own.
public struct SourceSchema: Codable, Sendable, Equatable {
    /// The name by which it is asked for.
    public var name: String
    /// What kind of files it describes.
    public var description: String
    /// What reads the files.
    public var format: Format
    /// The tree of ROOT files, with the directories that lead to it.
    public var tree: String?
    /// The datasets in the order of the stored columns.
    public var datasets: [SourceDataset]
    /// Datasets of the files that are left out on purpose; any other dataset that is not described is an error.
    public var ignore: [String]?
    /// Columns that identify an event, for splits; absent if there are none.
    public var event: [String]?
    /// Four-momenta, whose sums are stored beside jets, and that may be stored on the lattice; absent if there are none.
    public var momenta: Momenta?
    /// Four-momenta that may be stored as residuals of pt and angles, and flags that may be folded; absent if there are none.
    /// Not together with `momenta`.
    public var forward: Forward?

    /// The classes of jets, in the order of their numbers in the column that has `from` `class`; absent if there is none.
    public var classes: [JetClass]?
    /// The column, of type int64, that has `from` `folder` and holds the number of each jet's split; absent if splits are by hash.
    public var split: String?
    /// Names of the splits that it numbers; a folder has the name of one, or that and a number (`train_100M`).
    public var splits: [String]?

    /// Kinds of files.
    public enum Format: String, Codable, Sendable {
        /// HDF5: datasets with a row a jet.
        case hdf5
        /// ROOT: a tree with an entry a jet.
        case root
        /// ROOT: a tree with an entry an event, from which a selection takes jets with their constituents (PFNano).
        case pfnano
    }

    /// A class of jets.
    public struct JetClass: Codable, Sendable, Equatable {
        /// Its name.
        public var name: String
        /// The column that is 1 for it and 0 for the others.
        public var label: String
        /// What names of files begin with that hold it, up to and with the first underscore.
        public var prefix: String
    }

    /// A dataset of the source.
    public struct SourceDataset: Codable, Sendable, Equatable {
        /// Its path in the file.
        public var path: String
        /// Its element type.
        public var type: ElementType
        /// What a row describes; constituents have an axis of slots before the one of columns.
        public var role: ColumnRole
        /// Its columns; one column may stand for a dataset without that axis.
        public var columns: [SourceColumn]
        /// Whether `export` writes it; absent: it does.
        public var exported: Bool?

        /// A dataset that is exported.
        public init(path: String, type: ElementType, role: ColumnRole, columns: [SourceColumn]) {
            self.path = path
            self.type = type
            self.role = role
            self.columns = columns
        }
    }

    /// A column of a dataset.
    public struct SourceColumn: Codable, Sendable, Equatable {
        /// The name in the shards.
        public var name: String
        /// The unit; absent for a pure number.
        public var unit: String?
        /// What it means.
        public var description: String?
        /// How it may be narrowed: `float16`, `int16` or `int8`. Whether it is, the probe decides.
        public var narrow: FieldStorage?
        /// Whether its range in each record batch is kept in the index.
        public var key: Bool?
        /// The branch of a ROOT file; absent: the one of the column's name.
        public var branch: String?
        /// Where else it comes from than a branch.
        public var from: Origin?
        /// Whether files may lack it: then the dataset does too, and says so.
        public var optional: Bool?
        /// Set while a conversion knows that some input does not have it.
        var isAbsent: Bool?

        /// A column that is stored as it is.
        public init(name: String, unit: String? = nil, description: String? = nil, key: Bool? = nil) {
            self.name = name
            self.unit = unit
            self.description = description
            self.key = key
        }

        /// Where columns come from that are no branches.
        public enum Origin: String, Codable, Sendable {
            /// The number of the class, by labels or by the file's name.
            case `class`
            /// The number of the split, by the folder of the file.
            case folder
            /// The four-momenta that are computed from pt, eta, phi and mass of candidates.
            case momentum
            /// The generator: a branch that only simulation has.
            case generator
        }
    }

    /// Which columns make the four-momentum.
    public struct Momenta: Codable, Sendable, Equatable {
        /// Columns px, py, pz, E.
        public var momentum: [String]
        /// Column with the PDG code. Without this, `axis` and `masses` they are stored as they are.
        public var pdgId: String?
        /// Jet columns eta, phi.
        public var axis: [String]?
        /// Masses that energies were made with.
        public var masses: [CodeMass]?

        /// What the lattice layout would be; nil if momenta are stored as they are.
        var lattice: LatticeMomenta? {
            guard let pdgId, let axis, let masses else { return nil }
            return LatticeMomenta(
                momentum: momentum, pdgId: pdgId, axis: axis, predictsEnergy: true, masses: masses)
        }
    }

    /// Names of the schemas that come with the program.
    public static let builtIn = ["aspen-open-jets", "jetclass", "pfnano", "generated"]

    /// The schema of this name, or the one in this file.
    /// - Throws: `ConvertError` with code `schema`.
    public init(named name: String) throws {
        let builtIn: [UInt8]? =
            switch name {
            case "aspen-open-jets": PackageResources.aspen_open_jets_json
            case "jetclass": PackageResources.jetclass_json
            case "pfnano": PackageResources.pfnano_json
            case "generated": PackageResources.generated_json
            default: nil
            }
        if let builtIn {
            try self.init(json: builtIn, file: "\(name).json")
            return
        }
        guard Directory.exists(name) else {
            throw ConvertError(
                .schema, file: name, message: "no such schema",
                advice: "give a JSON file or one of: \(Self.builtIn.joined(separator: ", "))")
        }
        try self.init(json: InputFile(path: name).readAll(limit: 1 << 24), file: name)
    }

    /// A schema from its JSON.
    /// - Throws: `ConvertError` with code `schema` that names what is wrong.
    public init(json bytes: [UInt8], file: String) throws {
        do {
            self = try JSONDecoder().decode(SourceSchema.self, from: Data(bytes))
        } catch {
            throw ConvertError(.schema, file: file, message: "is not a source schema: \(Self.explain(error))")
        }
        try check(file: file)
    }

    static func explain(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context)?:
            "'\(key.stringValue)' is missing at \(context.codingPath.map(\.stringValue).joined(separator: "."))"
        case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?, .dataCorrupted(let context)?:
            "\(context.debugDescription) at \(context.codingPath.map(\.stringValue).joined(separator: "."))"
        default: "\(error)"
        }
    }

    func check(file: String) throws {
        func fault(_ place: String, _ message: String) -> ConvertError {
            ConvertError(.schema, file: file, place: place, message: message)
        }
        if format != .hdf5, tree == nil { throw fault("tree", "is missing: the tree of the ROOT files") }
        guard !datasets.isEmpty else { throw fault("datasets", "is empty") }
        var types: [String: (ElementType, ColumnRole)] = [:]
        let reserved = Set(
            [
                StoredColumn.pt, StoredColumn.deta, StoredColumn.dphi, StoredColumn.fixEta, StoredColumn.fixPhi,
                StoredColumn.energyULP,
            ].filter { _ in momenta?.lattice != nil }
                + ([StoredColumn.pt, StoredColumn.pid] + StoredColumn.momentumULP).filter { _ in forward != nil }
                + [
                    StoredColumn.exceptionPosition, StoredColumn.exceptionField, StoredColumn.exceptionBits,
                    StoredColumn.source, StoredColumn.sourceRow, StoredColumn.constituents,
                ] + StoredColumn.axis)
        for dataset in datasets {
            guard !dataset.columns.isEmpty else { throw fault("dataset \(dataset.path)", "has no columns") }
            for column in dataset.columns {
                let place = "column \(column.name)"
                guard !column.name.contains(where: { $0 == "," || $0.isNewline }) else {
                    throw fault(place, "has a comma or a new line in its name")
                }
                guard !column.name.isEmpty, !reserved.contains(column.name) else {
                    throw fault(place, "is a name that the shards use themselves")
                }
                guard types.updateValue((dataset.type, dataset.role), forKey: column.name) == nil else {
                    throw fault(place, "is described twice")
                }
                if let narrow = column.narrow {
                    guard dataset.role == .constituent, dataset.type == .float32,
                        [.float16, .int16, .int8].contains(narrow)
                    else {
                        throw fault(
                            place,
                            "cannot be narrowed to \(narrow.rawValue): only float32 of constituents can, to float16, int16 or int8"
                        )
                    }
                }
                if column.key == true, dataset.role == .constituent {
                    throw fault(place, "is a key, but only columns with one value a jet can be")
                }
            }
        }
        guard datasets.filter({ $0.role == .constituent }).reduce(0, { $0 + $1.columns.count }) <= 32 else {
            throw fault("datasets", "have more than 32 constituent columns, which exceptions cannot number")
        }
        for name in event ?? [] where types[name]?.1 == .constituent || types[name] == nil {
            throw fault("event", "names '\(name)', which is no column with one value a jet")
        }
        if let momenta { try check(momenta, types, fault) }
        if let forward { try forward.check(self, types, fault) }
    }

    private func check(
        _ momenta: Momenta, _ types: [String: (ElementType, ColumnRole)], _ fault: (String, String) -> ConvertError
    ) throws {
        let axis = momenta.axis ?? [], masses = momenta.masses ?? []
        let isNamed = Set([momenta.pdgId != nil, momenta.axis != nil, momenta.masses != nil])
        guard momenta.momentum.count == 4, isNamed.count == 1, axis.count == (momenta.lattice == nil ? 0 : 2) else {
            throw fault(
                "momenta",
                "needs four columns in 'momentum'; and 'pdgId', two columns in 'axis' and 'masses', or none of these")
        }
        for name in momenta.momentum + [momenta.pdgId].compactMap({ $0 })
        where types[name].map({ $0 != (.float32, .constituent) }) ?? true {
            throw fault("momenta", "names '\(name)', which is no float32 column of constituents")
        }
        for name in axis where types[name].map({ $0.0 != .float32 || $0.1 == .constituent }) ?? true {
            throw fault("momenta", "names '\(name)', which is no float32 column of jets")
        }
        guard masses.count <= 8, masses.allSatisfy({ $0.mass.isFinite && $0.mass >= 0 }) else {
            throw fault("momenta.masses", "has more than eight entries, or a mass that is negative or not finite")
        }
    }

    /// The fields in the order of the encoding: constituents first, then the others.
    public var fields: [SourceField] {
        func fields(of datasets: [SourceDataset]) -> [SourceField] {
            datasets.flatMap { dataset in
                dataset.columns.enumerated().filter { $1.isAbsent != true }.map { index, column in
                    SourceField(
                        name: column.name, dataset: dataset.path, column: index, type: dataset.type, role: dataset.role)
                }
            }
        }
        return fields(of: datasets.filter { $0.role == .constituent })
            + fields(of: datasets.filter { $0.role != .constituent })
    }

    /// The description of a column.
    func column(_ name: String) -> SourceColumn? {
        datasets.lazy.flatMap(\.columns).first { $0.name == name && $0.isAbsent != true }
    }
}
