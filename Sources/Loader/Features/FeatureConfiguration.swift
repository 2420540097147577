/// An ordered list of features, and how many constituents of a jet are taken.
///
/// As JSON, in the form that `encode(to:)` writes: `{"features": [{"name": "part_pt", "func": "log", "inv_func": "exp"},
/// ...], "pad_length": 128, "axis": "constituents"}`; `init(json:)` also reads the original's object of features, in the order of the text.
public struct FeatureConfiguration: Sendable, Equatable {
    /// The features, in the order of the last axis of a batch.
    public let features: [Feature]
    /// Constituents a jet: the first so many that survive all cuts.
    public let padLength: Int
    /// What relative features refer to.
    public let axis: JetAxisDefinition

    /// Features of the jets themselves, from stored fields of jets; without cuts.
    public let jetFeatures: [Feature]

    /// A configuration from its parts, checked.
    public init(
        _ features: [Feature], padLength: Int = 128, axis: JetAxisDefinition = .constituents,
        jetFeatures: [Feature] = []
    ) throws(LoaderError) {
        if features.isEmpty { throw LoaderError(.feature, place: "features", message: "the list is empty") }
        guard padLength >= 1, padLength <= 1 << 20 else {
            throw LoaderError(.feature, place: "pad_length", message: "is \(padLength), expected 1 to \(1 << 20)")
        }
        var seen: Set<String> = []
        for feature in features {
            try feature.check()
            if !seen.insert(feature.name).inserted { throw feature.failure("comes twice") }
        }
        seen = []
        for feature in jetFeatures {
            try feature.check()
            if feature.largerThan != nil || feature.smallerThan != nil {
                throw feature.failure("has a cut, which features of jets cannot have; select jets before")
            }
            if !seen.insert(feature.name).inserted { throw feature.failure("comes twice among the features of jets") }
        }
        self.features = features
        self.padLength = padLength
        self.axis = axis
        self.jetFeatures = jetFeatures
    }

    /// The configuration of the released OmniJet-alpha tokenizers: ln pt - 1.8, and 3 etarel, 3 phirel within ±0.8.
    public static let released = FeatureConfiguration(
        unchecked: [
            Feature("part_pt", function: .log, subtractBy: 1.8),
            Feature("part_etarel", largerThan: -0.8, smallerThan: 0.8, multiplyBy: 3),
            Feature("part_phirel", largerThan: -0.8, smallerThan: 0.8, multiplyBy: 3),
        ], padLength: 128)

    private init(unchecked features: [Feature], padLength: Int) {
        self.features = features
        self.padLength = padLength
        axis = .constituents
        jetFeatures = []
    }

    /// Reads JSON: a configuration `{"features": ..., "pad_length": 128, "axis": "puppi"}`, or only its features, which are an array of
    /// entries with a `name`, or an object of entries by name in the order of the text.
    public init(json: String) throws(LoaderError) {
        try self.init(OrderedJSON(parsing: json))
    }

    /// Reads JSON that holds several configurations by name.
    public static func named(json: String) throws(LoaderError) -> [String: FeatureConfiguration] {
        guard case .object(let members) = try OrderedJSON(parsing: json) else {
            throw LoaderError(.feature, place: "JSON", message: "expected an object of configurations")
        }
        var found: [String: FeatureConfiguration] = [:]
        for member in members { found[member.key] = try FeatureConfiguration(member.value) }
        return found
    }

    init(_ json: OrderedJSON) throws(LoaderError) {
        var list = json, padLength = 128, axis = JetAxisDefinition.constituents
        var jetFeatures: [Feature] = []
        if case .object(let members) = json, let inner = members.first(where: { $0.key == "features" }) {
            list = inner.value
            for (key, value) in members where key != "features" {
                switch (key, value) {
                case ("pad_length", .number(let length)):
                    guard let exact = Int(exactly: length) else {
                        throw LoaderError(.feature, place: key, message: "is \(length), expected a whole number")
                    }
                    padLength = exact
                case ("axis", .string(let name)): axis = try JetAxisDefinition(named: name)
                case ("jet_features", let value): jetFeatures = try Self.list(value)
                case ("pad_length", _), ("axis", _):
                    throw LoaderError(
                        .feature, place: key,
                        message: "\(value.kind), expected \(key == "axis" ? "a string" : "a whole number")")
                default:
                    throw LoaderError(
                        .feature, place: key, message: "unknown key; known are features, pad_length, axis, jet_features"
                    )
                }
            }
        }
        try self.init(Self.list(list), padLength: padLength, axis: axis, jetFeatures: jetFeatures)
    }

    /// Entries with names, or an object of entries by name.
    private static func list(_ json: OrderedJSON) throws(LoaderError) -> [Feature] {
        var features: [Feature] = []
        switch json {
        case .object(let members):
            for (name, entry) in members { features.append(try Feature(entry, name: name)) }
        case .array(let entries):
            for entry in entries { features.append(try Feature(entry, name: nil)) }
        default:
            throw LoaderError(
                .feature, place: "features", message: "\(json.kind), expected an array or an object of features")
        }
        return features
    }
}

extension Feature {
    /// One entry; null and an empty object mean the value as it is.
    init(_ json: OrderedJSON, name given: String?) throws(LoaderError) {
        self.init(given ?? "")
        var members: [(key: String, value: OrderedJSON)] = []
        switch json {
        case .object(let found): members = found
        case .null where given != nil: break
        default:
            throw LoaderError(
                .feature, place: given.map { "feature \($0)" } ?? "features",
                message: "\(json.kind), expected an object")
        }
        if given == nil {
            guard let at = members.firstIndex(where: { $0.key == "name" }), case .string(let text) = members[at].value
            else { throw LoaderError(.feature, place: "features", message: "an entry has no name") }
            name = text
            members.remove(at: at)
        }
        var function: String?, inverse: String?
        for (key, value) in members {
            if case .null = value { continue }
            switch key {
            case "func": function = try text(value, key)
            case "inv_func": inverse = try text(value, key)
            case "larger_than": largerThan = try number(value, key)
            case "smaller_than": smallerThan = try number(value, key)
            case "clip_min": clipMin = try number(value, key)
            case "clip_max": clipMax = try number(value, key)
            case "subtract_by": subtractBy = try number(value, key)
            case "multiply_by": multiplyBy = try number(value, key)
            case "binning", "bin_edges":
                if binning != nil { throw failure("has both binning and bin_edges") }
                let numbers = try numbers(value, key)
                if key == "bin_edges" {
                    binning = .edges(numbers)
                } else {
                    guard numbers.count == 3, let edges = Int(exactly: numbers[2]) else {
                        throw failure("binning: expected start, stop and the number of edges")
                    }
                    binning = .uniform(start: numbers[0], stop: numbers[1], edges: edges)
                }
            default:
                throw failure("unknown key \"\(key)\"; known are \(Self.keys.joined(separator: ", "))")
            }
        }
        try setFunction(function, inverse)
    }

    static let keys = [
        "func", "inv_func", "larger_than", "smaller_than", "binning", "bin_edges", "clip_min", "clip_max",
        "subtract_by",
        "multiply_by",
    ]

    private mutating func setFunction(_ name: String?, _ inverse: String?) throws(LoaderError) {
        switch (name, inverse) {
        case (nil, nil), ("identity", "identity"): function = .identity
        case ("log", "exp"), ("np.log", "np.exp"), ("log", "np.exp"), ("np.log", "exp"): function = .log
        case (.some(let name), nil): throw failure("has func \(name) but no inv_func; give both or neither")
        case (nil, .some(let inverse)): throw failure("has inv_func \(inverse) but no func; give both or neither")
        case (.some(let name), .some(let inverse)):
            throw failure("func \(name) with inv_func \(inverse); known is log with exp")
        }
    }

    private func text(_ json: OrderedJSON, _ key: String) throws(LoaderError) -> String {
        guard case .string(let text) = json else { throw failure("\(key) is \(json.kind), expected a string") }
        return text
    }

    private func number(_ json: OrderedJSON, _ key: String) throws(LoaderError) -> Double {
        guard case .number(let number) = json else { throw failure("\(key) is \(json.kind), expected a number") }
        return number
    }

    private func numbers(_ json: OrderedJSON, _ key: String) throws(LoaderError) -> [Double] {
        guard case .array(let elements) = json else { throw failure("\(key) is \(json.kind), expected numbers") }
        var numbers: [Double] = []
        for element in elements { numbers.append(try number(element, key)) }
        return numbers
    }
}
