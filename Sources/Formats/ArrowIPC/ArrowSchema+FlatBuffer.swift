import Support

extension KeyValue {
    static func slot(_ pairs: [KeyValue]) -> FlatValue? {
        pairs.isEmpty ? nil : .tables(pairs.map { [.string($0.key), .string($0.value)] })
    }

    static func read(_ slot: Int, of table: FlatTable) throws(ArrowError) -> [KeyValue] {
        var pairs: [KeyValue] = []
        for pair in try table.tables(slot) {
            pairs.append(KeyValue(key: try pair.string(0) ?? "", value: try pair.string(1) ?? ""))
        }
        return pairs
    }
}

extension ArrowSchema {
    /// The slots of a `Schema` table.
    var slots: [FlatValue?] {
        [.int16(ArrowFormat.littleEndian), .tables(fields.map(\.slots)), KeyValue.slot(metadata)]
    }

    init(_ table: FlatTable, version: Int16) throws(ArrowError) {
        guard try table.integer(0, default: ArrowFormat.littleEndian) == ArrowFormat.littleEndian else {
            throw table.address.error(.unsupported, "the file holds big-endian numbers")
        }
        var fields: [ArrowField] = []
        for field in try table.tables(1) {
            fields.append(try ArrowField(field, version: version, depth: 1))
        }
        self.init(fields: fields, metadata: try KeyValue.read(2, of: table))
    }

    /// The first column that cannot be written, if there is one.
    var firstUnwritable: ArrowField? {
        fields.first { field in
            switch field.type {
            case .list(let element): !element.isPrimitive
            case .unsupported: true
            default: false
            }
        }
    }
}

extension ArrowField {
    /// The slots of a `Field` table.
    fileprivate var slots: [FlatValue?] {
        let (id, parameters) = type.slots
        var children: [[FlatValue?]] = []
        if case .list(let element) = type { children = [ArrowField(name: "item", type: element).slots] }
        return [
            .string(name), .bool(nullable), .uint8(id), .table(parameters), nil, .tables(children),
            KeyValue.slot(metadata),
        ]
    }

    fileprivate init(_ table: FlatTable, version: Int16, depth: Int) throws(ArrowError) {
        guard depth <= ArrowFormat.maximumDepth else {
            throw table.address.error(
                .damaged, "fields are nested more than \(ArrowFormat.maximumDepth) levels deep")
        }
        var children: [ArrowField] = []
        for child in try table.tables(5) {
            children.append(try ArrowField(child, version: version, depth: depth + 1))
        }
        self.init(
            name: try table.string(0) ?? "",
            type: try ArrowType(
                id: try table.integer(2, default: 0), parameters: try table.table(3), children: children,
                isDictionary: try table.table(4) != nil, version: version),
            nullable: try table.integer(1, default: UInt8(0)) != 0,
            metadata: try KeyValue.read(6, of: table))
    }
}

extension ArrowType {
    /// The number of the type and the slots of its table.
    fileprivate var slots: (id: UInt8, parameters: [FlatValue?]) {
        switch self {
        case .bool: (ArrowFormat.TypeID.bool, [])
        case .int8: Self.integer(8, signed: true)
        case .int16: Self.integer(16, signed: true)
        case .int32: Self.integer(32, signed: true)
        case .int64: Self.integer(64, signed: true)
        case .uint8: Self.integer(8, signed: false)
        case .uint16: Self.integer(16, signed: false)
        case .uint32: Self.integer(32, signed: false)
        case .uint64: Self.integer(64, signed: false)
        case .float16: (ArrowFormat.TypeID.floatingPoint, [.int16(ArrowFormat.Precision.half)])
        case .float32: (ArrowFormat.TypeID.floatingPoint, [.int16(ArrowFormat.Precision.single)])
        case .float64: (ArrowFormat.TypeID.floatingPoint, [.int16(ArrowFormat.Precision.double)])
        case .utf8: (ArrowFormat.TypeID.utf8, [])
        case .list: (ArrowFormat.TypeID.list, [])
        // No value of this number is ever written: see `firstUnwritable`.
        case .unsupported: (0, [])
        }
    }

    private static func integer(_ bits: Int32, signed: Bool) -> (UInt8, [FlatValue?]) {
        (ArrowFormat.TypeID.int, [.int32(bits), .bool(signed)])
    }

    fileprivate init(
        id: UInt8, parameters: FlatTable?, children: [ArrowField], isDictionary: Bool, version: Int16
    ) throws(ArrowError) {
        typealias ID = ArrowFormat.TypeID
        let known = try Self.primitive(id: id, parameters: parameters)
        if isDictionary {
            // The batch holds only the indices.
            self = .unsupported(
                UnsupportedType(name: "dictionary<\(known?.description ?? Self.name(id))>", layout: .init()))
        } else if let known {
            self = known
        } else if id == ID.list, let child = children.first, children.count == 1, child.type.isPrimitive {
            self = .list(child.type)
        } else {
            self = .unsupported(
                try Self.unsupported(id: id, parameters: parameters, children: children, version: version))
        }
    }

    private static func primitive(id: UInt8, parameters: FlatTable?) throws(ArrowError) -> ArrowType? {
        switch id {
        case ArrowFormat.TypeID.bool: return .bool
        case ArrowFormat.TypeID.utf8: return .utf8
        case ArrowFormat.TypeID.int:
            let signed = try parameters?.integer(1, default: UInt8(0)) ?? 0 != 0
            switch try parameters?.integer(0, default: Int32(0)) ?? 0 {
            case 8: return signed ? .int8 : .uint8
            case 16: return signed ? .int16 : .uint16
            case 32: return signed ? .int32 : .uint32
            case 64: return signed ? .int64 : .uint64
            default: return nil
            }
        case ArrowFormat.TypeID.floatingPoint:
            switch try parameters?.integer(0, default: Int16(0)) ?? 0 {
            case ArrowFormat.Precision.half: return .float16
            case ArrowFormat.Precision.single: return .float32
            case ArrowFormat.Precision.double: return .float64
            default: return nil
            }
        default: return nil
        }
    }

    private static func name(_ id: UInt8) -> String {
        Int(id) < ArrowFormat.TypeID.names.count ? ArrowFormat.TypeID.names[Int(id)] : "type \(id)"
    }

    /// What `Columnar.rst`, "Buffer listing for each layout", says of other types.
    private static func unsupported(
        id: UInt8, parameters: FlatTable?, children: [ArrowField], version: Int16
    ) throws(ArrowError) -> UnsupportedType {
        typealias ID = ArrowFormat.TypeID
        var layout = UnsupportedType.Layout()
        switch id {
        case ID.null, ID.runEndEncoded: layout.buffers = 0
        case ID.structure, ID.fixedSizeList: layout.buffers = 1
        case ID.binary, ID.largeBinary, ID.largeUTF8, ID.listView, ID.largeListView: layout.buffers = 3
        case ID.binaryView, ID.utf8View: layout.variadic = 1
        case ID.union:
            // Mode 0 is sparse: types; 1 is dense: types and offsets. Before V5 there was validity as well.
            let dense = try parameters?.integer(0, default: Int16(0)) ?? 0 != 0
            layout.buffers = (dense ? 2 : 1) + (version < ArrowFormat.version5 ? 1 : 0)
        default: layout.isKnown = id != 0 && Int(id) < ID.names.count
        }
        var name = name(id)
        switch id {
        case ID.list, ID.largeList, ID.fixedSizeList, ID.listView, ID.largeListView:
            if let child = children.first { name += "<\(child.type)>" }
        default: break
        }
        return UnsupportedType(name: name, layout: children.reduce(layout) { $0 + $1.type.layout })
    }

    /// How much a column of this type takes of the flat lists of a record batch.
    var layout: UnsupportedType.Layout {
        switch self {
        case .unsupported(let type): type.layout
        case .utf8: .init(buffers: 3)
        case .list(let element): .init() + element.layout
        default: .init()
        }
    }
}
