import Foundation
import Shards
import Terminal

/// Prints what an Arrow IPC file holds.
struct InspectArrow {
    let summary: ArrowSummary
    let isVerbose: Bool

    func show() {
        let what = summary.encoding == nil ? "Arrow IPC file" : "shard of a dataset, Arrow IPC file"
        Page.line(
            "\(summary.path): \(what) of \(Format.counted(summary.rows, "row")) in "
                + "\(Format.counted(summary.batchRows.count, "record batch")), \(Format.bytes(summary.bytes))"
                + (summary.isCompressed ? ", compressed" : ", not compressed"))
        if let low = summary.batchRows.min(), let high = summary.batchRows.max() {
            let rows = low == high ? Format.count(low) : "\(Format.count(low)) to \(Format.count(high))"
            Page.line(
                "  \(rows) rows a record batch, \(Format.bytes(summary.batchBytes)) in all, "
                    + "\(Format.bytes(summary.sharedBytes)) of them shared by columns")
        }
        showColumns()
        showEncoding()
        showMetadata(summary.metadata, title: "Metadata of the schema")
        showMetadata(summary.footerMetadata, title: "Metadata of the footer")
    }

    private func showColumns() {
        Page.heading("Columns")
        var table = Table(columns: [
            .init(title: "name"), .init(title: "type"), .init(title: "values", isNumber: true, dispensability: 3),
            .init(title: "nulls", isNumber: true), .init(title: "bytes", isNumber: true, dispensability: 2),
            .init(title: "share", isNumber: true), .init(title: "from", isNumber: true, dispensability: 1),
            .init(title: "to", isNumber: true, dispensability: 1), .init(title: "histogram"),
            .init(title: "metadata", dispensability: 4),
        ])
        for column in summary.columns {
            let metadata = column.metadata.map { "\($0.key)=\(clipped($0.value, to: 48))" }.joined(separator: " ")
            let nulls = column.nulls ?? 0
            table.rows.append([
                column.name, column.type, column.values.map { Format.count($0) } ?? "not read",
                nulls > 0 ? Format.count(nulls) : "", column.bytes.map { Format.bytes($0) } ?? "",
                Format.percent(column.share), column.sampleMinimum.map { Format.short($0) } ?? "",
                column.sampleMaximum.map { Format.short($0) } ?? "", HistogramBars.text(column.histogram), metadata,
            ])
        }
        Page.table(table)
        Page.line(
            "  ranges and histograms of the stored numbers, from \(Format.count(summary.sample.rows)) of "
                + Format.counted(summary.rows, "row"))
    }

    private func showEncoding() {
        guard let encoding = summary.encoding else { return }
        Page.heading("Encoding of jets, version \(encoding.version)")
        if let lattice = encoding.lattice {
            Page.line(
                "  \(lattice.momentum.joined(separator: ", ")) on the lattice of CMS: steps \(lattice.etaStep) in eta, "
                    + "\(lattice.phiStep) in phi, relative to \(lattice.axis.joined(separator: ", "))"
                    + (lattice.predictsEnergy ? "; energy from masses" : ""))
        }
        var names: [String: [String]] = [:]
        for field in encoding.fields { names[field.storage.rawValue, default: []].append(field.name) }
        for (storage, fields) in names.sorted(by: { $0.key < $1.key }) {
            Page.line("  \(storage): \(fields.joined(separator: ", "))")
        }
    }

    private func showMetadata(_ pairs: [ArrowSummary.Pair], title: String) {
        guard !pairs.isEmpty else { return }
        Page.heading(title)
        for pair in pairs { Page.line("  \(pair.key): \(clipped(pair.value, to: 100))") }
    }

    private func clipped(_ text: String, to length: Int) -> String {
        isVerbose || text.count <= length
            ? text : "\(text.prefix(length))\(Glyphs.ellipsis) (\(Format.count(text.count)) characters)"
    }

    /// Prints one row, lists with at most `limit` values.
    static func show(row: Int, _ values: [(name: String, value: JSONValue)], limit: Int) {
        Page.line("row \(row)")
        for (name, value) in values {
            guard case .array(let items) = value else {
                Page.line("  \(name): \(JetPrinter.exact(value))")
                continue
            }
            let more = items.count > limit ? ", \(Glyphs.ellipsis) and \(items.count - limit) more" : ""
            Page.line("  \(name): [\(items.prefix(limit).map { JetPrinter.exact($0) }.joined(separator: ", "))\(more)]")
        }
        Page.line()
    }
}
