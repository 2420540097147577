extension FeatureConfiguration: Codable {
    private enum Keys: String, CodingKey {
        case features, axis
        case padLength = "pad_length"
        case jetFeatures = "jet_features"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(features, forKey: .features)
        try container.encode(padLength, forKey: .padLength)
        try container.encode(axis, forKey: .axis)
        if !jetFeatures.isEmpty { try container.encode(jetFeatures, forKey: .jetFeatures) }
    }

    /// Reads the form with an array of features; decoders lose the order of an object (`init(json:)` keeps it).
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        try self.init(
            container.decode([Feature].self, forKey: .features),
            padLength: container.decodeIfPresent(Int.self, forKey: .padLength) ?? 128,
            axis: container.decodeIfPresent(JetAxisDefinition.self, forKey: .axis) ?? .constituents,
            jetFeatures: container.decodeIfPresent([Feature].self, forKey: .jetFeatures) ?? [])
    }
}

extension Feature: Codable {
    private enum Keys: String, CodingKey {
        case name, binning
        case function = "func"
        case inverse = "inv_func"
        case largerThan = "larger_than"
        case smallerThan = "smaller_than"
        case edges = "bin_edges"
        case clipMin = "clip_min"
        case clipMax = "clip_max"
        case subtractBy = "subtract_by"
        case multiplyBy = "multiply_by"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(name, forKey: .name)
        if function == .log {
            try container.encode("log", forKey: .function)
            try container.encode("exp", forKey: .inverse)
        }
        try container.encodeIfPresent(largerThan, forKey: .largerThan)
        try container.encodeIfPresent(smallerThan, forKey: .smallerThan)
        switch binning {
        case .uniform(let start, let stop, let edges):
            try container.encode([start, stop, Double(edges)], forKey: .binning)
        case .edges(let edges): try container.encode(edges, forKey: .edges)
        case nil: break
        }
        try container.encodeIfPresent(clipMin, forKey: .clipMin)
        try container.encodeIfPresent(clipMax, forKey: .clipMax)
        if subtractBy != 0 { try container.encode(subtractBy, forKey: .subtractBy) }
        if multiplyBy != 1 { try container.encode(multiplyBy, forKey: .multiplyBy) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        // One reader of entries is enough: the same one as for text.
        var members: [(key: String, value: OrderedJSON)] = []
        for key in container.allKeys {
            switch key {
            case .name, .function, .inverse:
                members.append((key.rawValue, .string(try container.decode(String.self, forKey: key))))
            case .binning, .edges:
                let numbers = try container.decode([Double].self, forKey: key)
                members.append((key.rawValue, .array(numbers.map { .number($0) })))
            default: members.append((key.rawValue, .number(try container.decode(Double.self, forKey: key))))
            }
        }
        try self.init(.object(members), name: nil)
    }
}
