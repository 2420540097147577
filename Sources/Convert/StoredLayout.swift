import ArrowIPC
import Foundation
import Shards

/// What a stored column is made from.
enum ColumnContent: Sendable, Equatable {
    /// A field of the source in its own type.
    case field(Int)
    /// A field of constituents, narrowed.
    case narrowed(Int)
    /// A part of the lattice layout.
    case lattice(LatticePart)
    /// A part of the forward layout.
    case forward(ForwardPart)
    /// The list of exceptions: its part 0 position, 1 field, 2 bits.
    case exception(Int)
    /// Number of the input.
    case source
    /// Row in the input.
    case sourceRow
    /// Number of constituents.
    case constituents
    /// Sum of the constituents: part 0 pt, 1 eta, 2 phi, 3 mass.
    case axis(Int)

    enum LatticePart: Int, Sendable {
        case pt, deta, dphi, fixEta, fixPhi, energyULP
    }

    enum ForwardPart: Int, Sendable {
        case pt, pxULP, pyULP, pzULP, energyULP, pid

        static func ulp(_ component: Int) -> ForwardPart { ForwardPart(rawValue: component + 1) ?? .pxULP }
    }
}

/// The columns of the shards: what follows from a schema and the layouts that were chosen.
struct StoredLayout: Sendable {
    let encoding: JetEncoding
    let columns: [ColumnDescription]
    let contents: [ColumnContent]
    /// Names of the key columns and their fields.
    let keys: [(name: String, field: Int)]
    /// Fields px, py, pz, E, whose sum is the jet axis; nil if the schema names none.
    let momentum: [Int]?

    init(schema: SourceSchema, encoding: JetEncoding) {
        self.encoding = encoding
        var columns: [(ColumnDescription, ColumnContent)] = []
        let fields = encoding.fields
        for (index, field) in fields.enumerated() where field.role != .constituent {
            columns.append((Self.plain(field, schema), .field(index)))
        }
        columns += Self.derived(hasMomenta: schema.momenta != nil || schema.forward != nil)
        if encoding.lattice != nil { columns += Self.latticeColumns(encoding) }
        columns += Self.forwardColumns(encoding, schema)
        for (index, field) in fields.enumerated()
        where field.role == .constituent && ![.lattice, .forward, .flags].contains(field.storage) {
            columns.append(
                field.storage == .plain
                    ? (Self.plain(field, schema), .field(index)) : (Self.narrowed(field, schema), .narrowed(index)))
        }
        if fields.contains(where: { $0.storage != .plain }) { columns += Self.exceptionColumns }
        self.columns = columns.map(\.0)
        contents = columns.map(\.1)
        keys = fields.enumerated().compactMap { index, field in
            schema.column(field.name)?.key == true ? (field.name, index) : nil
        }
        momentum = (schema.momenta?.momentum ?? schema.forward?.momentum)?.compactMap { name in
            fields.firstIndex { $0.name == name }
        }
    }

    private static func source(_ field: SourceField) -> String { "\(field.dataset)[\(field.column)]" }

    private static func plain(_ field: SourceField, _ schema: SourceSchema) -> ColumnDescription {
        let column = schema.column(field.name)
        return ColumnDescription(
            name: field.name, type: field.role == .constituent ? .list(field.type.arrow) : field.type.arrow,
            role: field.role, unit: column?.unit ?? "1", description: column?.description ?? field.name, codec: "exact",
            source: source(field))
    }

    private static func narrowed(_ field: SourceField, _ schema: SourceSchema) -> ColumnDescription {
        var description = plain(field, schema)
        description.codec = "narrow"
        switch field.storage {
        case .float16: description.type = .list(.float16)
        case .int16: description.type = .list(.int16)
        case .int8: description.type = .list(.int8)
        case .plain, .lattice, .forward, .flags: break
        }
        return description
    }

    private static func derived(hasMomenta: Bool) -> [(ColumnDescription, ColumnContent)] {
        let count = ColumnDescription(
            name: StoredColumn.constituents, type: .uint16, role: .jet, description: "number of stored constituents",
            codec: "derived")
        let axis = zip(
            StoredColumn.axis,
            [("GeV", "transverse momentum"), ("1", "pseudorapidity"), ("rad", "azimuth"), ("GeV", "mass")]
        ).enumerated().map { index, names in
            (
                ColumnDescription(
                    name: names.0, type: .float32, role: .jet, unit: names.1.0,
                    description: "\(names.1.1) of the sum of all stored constituents", codec: "derived"),
                ColumnContent.axis(index)
            )
        }
        return [(count, .constituents)] + (hasMomenta ? axis : []) + [
            (
                ColumnDescription(
                    name: StoredColumn.source, type: .uint16, role: .jet,
                    description: "number of the input file in the catalogue", codec: "derived"), .source
            ),
            (
                ColumnDescription(
                    name: StoredColumn.sourceRow, type: .int64, role: .jet, description: "row in the input file",
                    codec: "derived"), .sourceRow
            ),
        ]
    }

    private static func latticeColumns(_ encoding: JetEncoding) -> [(ColumnDescription, ColumnContent)] {
        guard let lattice = encoding.lattice else { return [] }
        let source = lattice.momentum.joined(separator: ",")
        func column(
            _ name: String, _ type: ArrowType, unit: String = "1", scale: String? = nil, _ description: String,
            _ codec: String
        ) -> ColumnDescription {
            ColumnDescription(
                name: name, type: .list(type), role: .constituent, unit: unit, scale: scale, description: description,
                codec: codec, source: source)
        }
        let parts: [(ColumnDescription, ColumnContent)] = [
            (column(StoredColumn.pt, .float16, unit: "GeV", "transverse momentum", "lattice"), .lattice(.pt)),
            (
                column(
                    StoredColumn.deta, .int16, scale: lattice.etaStep, "eta of the constituent minus that of the jet",
                    "lattice"),
                .lattice(.deta)
            ),
            (
                column(
                    StoredColumn.dphi, .int16, unit: "rad", scale: lattice.phiStep,
                    "phi of the constituent minus that of the jet", "lattice"), .lattice(.dphi)
            ),
            (column(StoredColumn.fixEta, .int8, "correction of eta in grid steps", "residual"), .lattice(.fixEta)),
            (column(StoredColumn.fixPhi, .int8, "correction of phi in grid steps", "residual"), .lattice(.fixPhi)),
        ]
        guard lattice.predictsEnergy else { return parts }
        let ulp = column(
            StoredColumn.energyULP, .int8, "energy minus predicted energy in units of the last place of float32",
            "residual")
        return parts + [(ulp, .lattice(.energyULP))]
    }

    private static let exceptionColumns: [(ColumnDescription, ColumnContent)] = [
        (StoredColumn.exceptionPosition, ArrowType.uint16, "exceptions: index of the constituent"),
        (StoredColumn.exceptionField, .uint8, "exceptions: number of the constituent field"),
        (StoredColumn.exceptionBits, .uint32, "exceptions: the original 32 bits"),
    ].enumerated().map { index, column in
        (
            ColumnDescription(
                name: column.0, type: .list(column.1), role: .constituent, description: column.2, codec: "exception"),
            .exception(index)
        )
    }
}
