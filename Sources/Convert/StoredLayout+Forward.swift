import ArrowIPC
import Shards

extension StoredLayout {
    /// The columns that the forward layout and folded flags bring.
    static func forwardColumns(
        _ encoding: JetEncoding, _ schema: SourceSchema
    ) -> [(ColumnDescription, ColumnContent)] {
        func column(
            _ name: String, _ type: ArrowType, unit: String = "1", _ description: String, _ codec: String,
            _ sources: [String]
        ) -> ColumnDescription {
            ColumnDescription(
                name: name, type: .list(type), role: .constituent, unit: unit, description: description, codec: codec,
                source: sources.joined(separator: ","))
        }
        var columns: [(ColumnDescription, ColumnContent)] = []
        if let forward = encoding.forward {
            let names = forward.momentum
            columns.append(
                (
                    column(
                        StoredColumn.pt, .float32, unit: schema.column(names[0])?.unit ?? "GeV",
                        "transverse momentum, of px and py", "derived", Array(names.prefix(2))), .forward(.pt)
                ))
            for part in 0..<(forward.predictsEnergy ? 4 : 3) {
                columns.append(
                    (
                        column(
                            StoredColumn.momentumULP[part], .int8,
                            "\(names[part]) minus predicted \(names[part]) in units of the last place of float32",
                            "residual", [names[part]]), .forward(.ulp(part))
                    ))
            }
        }
        if let flags = encoding.flags {
            let meaning = flags.enumerated().map { "\($0) \($1)" }.joined(separator: ", ")
            columns.append(
                (
                    column(StoredColumn.pid, .int8, "which flag is set: \(meaning), 5 none", "flags", flags),
                    .forward(.pid)
                ))
        }
        return columns
    }
}
