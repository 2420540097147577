import Foundation
import Shards
import Support

/// Which events and jets of a PFNano file are taken: a JSON file under `schemas/selections`, or one of the user's own.
///
/// An event is taken if it is certified (golden JSON), any trigger fired and all filters passed; a jet if it passes all cuts, which
/// compare the stored values.
public struct Selection: Codable, Sendable, Equatable {
    /// The name by which it is asked for.
    public var name: String
    /// What it is for.
    public var description: String
    /// Branches of which one must be true; none: no trigger is asked for. One that a file does not have did not fire.
    public var triggers: [String]
    /// Triggers that belong to the list but are not asked for; for the record.
    public var disabledTriggers: [String]?
    /// Branches that must all be true. One that a file does not have passed.
    public var filters: [String]
    /// The jet collection; branches of jets begin with this name and an underscore.
    public var jets: String
    /// What a jet must pass, in the order of the cut flow.
    public var cuts: [Cut]
    /// How constituents are found.
    public var constituents: Constituents

    /// A condition on a branch of the jets.
    public struct Cut: Codable, Sendable, Equatable {
        /// The name in the cut flow.
        public var name: String
        /// The branch.
        public var branch: String
        /// How its value is compared.
        public var `is`: Comparison
        /// With what.
        public var value: Double

        /// How values are compared, as doubles.
        public enum Comparison: String, Codable, Sendable {
            case greater = ">"
            case notLess = ">="
            case less = "<"
            case notGreater = "<="
            case equal = "=="
            case unequal = "!="
            case absoluteLess = "abs <"
            case absoluteGreater = "abs >"
        }

        /// Whether a value passes; NaN passes only `!=`.
        @inline(__always)
        func passes(_ found: Double) -> Bool {
            switch `is` {
            case .greater: found > value
            case .notLess: found >= value
            case .less: found < value
            case .notGreater: found <= value
            case .equal: found == value
            case .unequal: found != value
            case .absoluteLess: abs(found) < value
            case .absoluteGreater: abs(found) > value
            }
        }
    }

    /// The links between jets and candidates.
    public struct Constituents: Codable, Sendable, Equatable {
        /// The branch with the number of the jet of each link.
        public var jetIndex: String
        /// The branch with the number of its candidate.
        public var candidateIndex: String
        /// The collection of candidates; its `_pt`, `_eta`, `_phi` and `_mass` make the momenta.
        public var candidates: String
        /// At most so many constituents of a jet: the first ones of its links.
        public var most: Int
    }

    /// Names of the selections that come with the program.
    public static let builtIn = ["aoj-2016"]

    /// The selection of this name, or the one in this file.
    /// - Throws: `ConvertError` with code `schema`.
    public init(named name: String) throws {
        if name == "aoj-2016" {
            try self.init(json: PackageResources.aoj_2016_json, file: "\(name).json")
            return
        }
        guard Directory.exists(name) else {
            throw ConvertError(
                .schema, file: name, message: "no such selection",
                advice: "give a JSON file or one of: \(Self.builtIn.joined(separator: ", "))")
        }
        try self.init(json: InputFile(path: name).readAll(limit: 1 << 24), file: name)
    }

    /// A selection from its JSON.
    /// - Throws: `ConvertError` with code `schema` that names what is wrong.
    public init(json bytes: [UInt8], file: String) throws {
        do {
            self = try JSONDecoder().decode(Selection.self, from: Data(bytes))
        } catch {
            throw ConvertError(
                .schema, file: file, message: "is not a selection: \(SourceSchema.explain(error))")
        }
        // A misspelt cut must not be passed over.
        let known = try JSONValue(encoding: self), given = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        if let extra = Self.extraKey(given, known, "") {
            throw ConvertError(.schema, file: file, place: extra, message: "is not known to selections")
        }
        func fault(_ place: String, _ message: String) -> ConvertError {
            ConvertError(.schema, file: file, place: place, message: message)
        }
        guard !jets.isEmpty else { throw fault("jets", "is empty") }
        for cut in cuts where !cut.branch.hasPrefix(jets + "_") {
            throw fault("cut \(cut.name)", "is on '\(cut.branch)', which is no branch of \(jets)")
        }
        guard Set(cuts.map(\.name)).count == cuts.count else { throw fault("cuts", "have a name twice") }
        guard (1...Int(UInt16.max)).contains(constituents.most) else {
            throw fault("constituents.most", "is \(constituents.most), expected 1 to 65535")
        }
        if let both = disabledTriggers?.first(where: triggers.contains) {
            throw fault("disabledTriggers", "names '\(both)', which is among the triggers")
        }
    }

    /// A key of `given` that `known` does not have.
    private static func extraKey(_ given: JSONValue, _ known: JSONValue, _ place: String) -> String? {
        switch (given, known) {
        case (.object(let given), .object(let known)):
            for (key, value) in given.sorted(by: { $0.key < $1.key }) {
                let inner = place.isEmpty ? key : "\(place).\(key)"
                guard let other = known[key] else { return value == .null ? nil : inner }
                if let extra = extraKey(value, other, inner) { return extra }
            }
            return nil
        case (.array(let given), .array(let known)):
            for (index, pair) in zip(given, known).enumerated() {
                if let extra = extraKey(pair.0, pair.1, "\(place)[\(index)]") { return extra }
            }
            return nil
        default: return nil
        }
    }
}

/// A selection with what is chosen for one conversion.
public struct SelectionChoice: Codable, Sendable, Equatable {
    /// The rules.
    public var selection: Selection
    /// Certified luminosity blocks; nil: all are.
    public var golden: GoldenJSON?
    /// The particle that jets must match.
    public var match: GeneratorMatch?

    /// A choice from its parts.
    public init(selection: Selection, golden: GoldenJSON? = nil, match: GeneratorMatch? = nil) {
        self.selection = selection
        self.golden = golden
        self.match = match
    }
}
