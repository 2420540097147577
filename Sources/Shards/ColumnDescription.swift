import ArrowIPC

/// A column of the shards: what the schema and the catalogue say of it.
public struct ColumnDescription: Sendable, Equatable {
    /// The name.
    public var name: String
    /// The Arrow type.
    public var type: ArrowType
    /// What it describes.
    public var role: ColumnRole
    /// The unit of the stored value times `scale`.
    public var unit: String
    /// Decimal number or fraction to multiply with; nil for 1.
    public var scale: String?
    /// What it means.
    public var description: String
    /// `exact`, `narrow`, `lattice`, `residual`, `exception` or `derived`.
    public var codec: String
    /// Dataset and column of the source.
    public var source: String?

    /// A description from its parts.
    public init(
        name: String, type: ArrowType, role: ColumnRole, unit: String = "1", scale: String? = nil, description: String,
        codec: String, source: String? = nil
    ) {
        self.name = name
        self.type = type
        self.role = role
        self.unit = unit
        self.scale = scale
        self.description = description
        self.codec = codec
        self.source = source
    }

    /// The field of the Arrow schema.
    public var field: ArrowField {
        var metadata = [KeyValue(key: "unit", value: unit)]
        if let scale { metadata.append(KeyValue(key: "scale", value: scale)) }
        metadata.append(KeyValue(key: "description", value: description))
        if let source { metadata.append(KeyValue(key: "source", value: source)) }
        metadata.append(KeyValue(key: "codec", value: codec))
        return ArrowField(name: name, type: type, nullable: false, metadata: metadata)
    }

    /// The entry in the catalogue.
    public func entry(bytes: Int, statistics: ColumnStatistics) -> ColumnEntry {
        ColumnEntry(
            name: name, type: type.description, role: role, unit: unit, scale: scale, description: description,
            codec: codec, source: source, bytes: bytes, statistics: statistics.count == 0 ? nil : statistics)
    }
}
