/// One jet as it was in the source, to look at.
public struct Jet: Sendable {
    /// A number of the jet.
    public struct Value: Sendable {
        /// Its name.
        public var name: String
        /// Its unit; `1` if it has none.
        public var unit: String
        /// The number.
        public var value: JSONValue
    }

    /// One number of all constituents.
    public struct Column: Sendable {
        /// Its name.
        public var name: String
        /// Its unit; `1` if it has none.
        public var unit: String
        /// The numbers, one a constituent.
        public var values: [JSONValue]
        /// Whether the source does not have it: computed from the momenta.
        public var isDerived = false
    }

    /// Its number in the dataset or shard.
    public var row: Int
    /// The shard that it is in.
    public var shard: String
    /// The number of the record batch in that shard.
    public var batch: Int
    /// Its number in the record batch.
    public var rowInBatch: Int
    /// The input file that it came from, if it is known.
    public var input: String?
    /// Its row in the input file.
    public var inputRow: Int?
    /// Its split.
    public var split: String?
    /// Numbers of the event and of the jet.
    public var values: [Value]
    /// How many constituents it has.
    public var constituentCount: Int
    /// Numbers of the constituents.
    public var constituents: [Column]

    /// Keys: `row`, `shard`, `batch`, `rowInBatch`, `input`, `inputRow`, `split` (absent where unknown), `values` (an
    /// object), `constituentCount`, `constituents` (an object of arrays); `units` for all names that have one.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "row": .integer(Int64(row)), "shard": .string(shard), "batch": .integer(Int64(batch)),
            "rowInBatch": .integer(Int64(rowInBatch)), "constituentCount": .integer(Int64(constituentCount)),
            "values": .object(Dictionary(values.map { ($0.name, $0.value) }) { first, _ in first }),
            "constituents": .object(
                Dictionary(constituents.map { ($0.name, .array($0.values)) }) { first, _ in first }),
        ]
        members["input"] = input.map { .string($0) }
        members["inputRow"] = inputRow.map { .integer(Int64($0)) }
        members["split"] = split.map { .string($0) }
        let units = values.map { ($0.name, $0.unit) } + constituents.map { ($0.name, $0.unit) }
        members["units"] = .object(
            Dictionary(units.filter { $0.1 != "1" }.map { ($0.0, .string($0.1)) }) { first, _ in first })
        return .object(members)
    }
}
