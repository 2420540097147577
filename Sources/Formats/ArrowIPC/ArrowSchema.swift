/// The type of a column.
public indirect enum ArrowType: Hashable, Sendable {
    case bool
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    case float16, float32, float64
    case utf8
    /// Lists of a fixed-width type or of bools, with 32-bit offsets. Other lists are neither written nor read.
    case list(ArrowType)
    /// A type that is not read; other columns of the file are.
    case unsupported(UnsupportedType)

    /// Bytes of one value of a fixed-width type; nil for bool (bits), utf8 and lists.
    public var byteWidth: Int? {
        switch self {
        case .int8, .uint8: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        case .bool, .utf8, .list, .unsupported: nil
        }
    }

    /// Whether values lie in one buffer without offsets.
    var isPrimitive: Bool { self == .bool || byteWidth != nil }

    /// How many bytes `count` values of a primitive type take; nil if the number is too large or the type another.
    func byteCount(of count: Int) -> Int? {
        if self == .bool { return count / 8 + (count % 8 == 0 ? 0 : 1) }
        guard let byteWidth else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: byteWidth)
        return overflow ? nil : bytes
    }
}

extension ArrowType: CustomStringConvertible {
    /// The name as Arrow's documentation writes it, for example `list<float16>`.
    public var description: String {
        switch self {
        case .bool: "bool"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .uint16: "uint16"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .float16: "float16"
        case .float32: "float32"
        case .float64: "float64"
        case .utf8: "utf8"
        case .list(let element): "list<\(element)>"
        case .unsupported(let type): type.name
        }
    }
}

/// A type that is only known by its name and by the room that it takes in a record batch.
public struct UnsupportedType: Hashable, Sendable {
    /// The name, for example `timestamp` or `list<utf8>`.
    public let name: String
    let layout: Layout

    /// How much a column takes of the flat lists of a record batch.
    struct Layout: Hashable, Sendable {
        var nodes = 1
        var buffers = 2
        /// Columns whose number of buffers is in the batch's list of variadic counts.
        var variadic = 0
        /// False for a type from the future: the columns after it cannot be located.
        var isKnown = true

        static func + (left: Layout, right: Layout) -> Layout {
            Layout(
                nodes: left.nodes + right.nodes, buffers: left.buffers + right.buffers,
                variadic: left.variadic + right.variadic, isKnown: left.isKnown && right.isKnown)
        }
    }
}

/// A key and its value in the metadata of a file, field or record batch.
public struct KeyValue: Hashable, Sendable {
    /// The key; keys may repeat.
    public var key: String
    /// The value. Bytes that are not UTF-8 (other writers pack binary data here) are read with repairs.
    public var value: String

    /// A key with its value.
    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// A column's name, type and metadata.
public struct ArrowField: Hashable, Sendable {
    /// The column's name.
    public var name: String
    /// The column's type.
    public var type: ArrowType
    /// Whether values may be missing. The writer here writes no missing values.
    public var nullable: Bool
    /// Keys and values in the order of the file.
    public var metadata: [KeyValue]

    /// A field from its parts.
    public init(name: String, type: ArrowType, nullable: Bool = false, metadata: [KeyValue] = []) {
        self.name = name
        self.type = type
        self.nullable = nullable
        self.metadata = metadata
    }
}

/// The columns of a file and what is said of them all.
public struct ArrowSchema: Hashable, Sendable {
    /// The columns, in the order of the file.
    public var fields: [ArrowField]
    /// Keys and values in the order of the file.
    public var metadata: [KeyValue]

    /// A schema from its parts.
    public init(fields: [ArrowField], metadata: [KeyValue] = []) {
        self.fields = fields
        self.metadata = metadata
    }

    /// The number of the first column called `name`.
    public func index(of name: String) -> Int? {
        fields.firstIndex { $0.name == name }
    }
}
