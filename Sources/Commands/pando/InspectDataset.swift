import Foundation
import Shards
import Terminal

/// Prints what a dataset is.
struct InspectDataset {
    let summary: DatasetSummary
    let isVerbose: Bool

    private static let inputsShown = 10

    func show() {
        showSizes()
        let jets = summary.columns.filter { $0.role != .constituent }
        let constituents = summary.columns.filter { $0.role == .constituent }
        showColumns(jets, title: "Columns of jets", each: "bytes a jet")
        showColumns(constituents, title: "Columns of constituents", each: "bytes a constituent")
        if let sample = summary.sample {
            let jets = "\(Format.count(sample.rows)) of \(Format.counted(summary.rows, "jet"))"
            Page.line("  histograms from \(jets); ranges and means from all")
        }
        showContent()
        showProvenance()
    }

    private func showSizes() {
        let bytes = summary.bytes
        let mean = summary.meanConstituents.map { String(format: " (%.1f a jet)", $0) } ?? ""
        Page.line(
            "\(summary.name): \(Format.counted(summary.rows, "jet")) with "
                + "\(Format.counted(summary.constituents, "constituent"))\(mean)")
        Page.line(
            "  \(Format.counted(summary.shards.count, "shard")) of \(Format.counted(summary.batches, "record batch")), "
                + "\(Format.bytes(bytes.all)): shards \(Format.bytes(bytes.shards)), index and catalogue "
                + "\(Format.bytes(bytes.indexAndCatalogue)), parity \(Format.bytes(bytes.parity))")
        if let jet = bytes.perJet, let constituent = bytes.perConstituent, let ratio = bytes.ratio {
            Page.line(
                String(
                    format: "  %.1f bytes a jet, %.2f bytes a constituent; %.3f of the inputs' %@", jet, constituent,
                    ratio, Format.bytes(bytes.inputs)))
        }
        Page.line(
            "  format \(summary.formatVersion)\(summary.features.isEmpty ? "" : " with \(list(summary.features))"), "
                + "fingerprint \(summary.fingerprint)")
    }

    private func showColumns(_ columns: [DatasetSummary.Column], title: String, each: String) {
        guard !columns.isEmpty else { return }
        Page.heading(title)
        var table = Table(columns: [
            .init(title: "name"), .init(title: "type", dispensability: 2), .init(title: "unit"),
            .init(title: "minimum", isNumber: true), .init(title: "mean", isNumber: true, dispensability: 1),
            .init(title: "maximum", isNumber: true), .init(title: each, isNumber: true, dispensability: 3),
            .init(title: "share", isNumber: true), .init(title: "codec", dispensability: 4), .init(title: "histogram"),
            .init(title: "not finite", isNumber: true),
        ])
        if isVerbose { table.columns.append(.init(title: "meaning", dispensability: 5)) }
        for column in columns {
            let odd = column.notFinite ?? 0
            table.rows.append([
                column.name, column.type, column.unit == "1" ? "" : column.unit, number(column.minimum),
                number(column.mean), number(column.maximum),
                column.bytesEach.map { String(format: "%.3f", $0) } ?? "", Format.percent(column.share), column.codec,
                HistogramBars.text(column.histogram), odd > 0 ? Format.count(odd) : "", column.description,
            ])
        }
        Page.table(table)
    }

    private func number(_ value: Double?) -> String { value.map { Format.short($0) } ?? "" }

    private func list(_ words: [String]) -> String { words.joined(separator: ", ") }

    private func showContent() {
        let exceptions = summary.exceptions.filter { $0.count > 0 }
        Page.heading("Exceptions: values kept beside the narrowed ones, so that all come back bit for bit")
        Page.words(
            exceptions.isEmpty
                ? ["none"] : exceptions.map { "\($0.field) \(Format.count($0.count)) (\(Format.percent($0.share)))" })
        if !summary.splits.isEmpty {
            let rule = summary.splitRule == .hash ? "hash of" : "column"
            Page.heading("Splits by \(rule) \(list(summary.splitColumns))")
            Page.words(summary.splits.map { "\($0.name) \(Format.count($0.rows)) (\(Format.percent($0.share)))" })
        }
        if !summary.cutFlow.isEmpty {
            Page.heading("Cut flow\(summary.selection.map { " of the selection \($0)" } ?? "")")
            Page.table(CutFlowTable.of(summary.cutFlow))
        }
        if let sums = summary.generator {
            Page.heading("Generator\(sums.match.map { ", jets matched with \($0)" } ?? "")")
            Page.words([
                "\(Format.count(Int(sums.events))) events", "sum of weights \(Format.five(sums.sumOfWeights))",
                "of selected jets \(Format.five(sums.selectedSumOfWeights))",
            ])
        }
        if !summary.remarks.isEmpty {
            Page.heading("Remarks")
            for remark in summary.remarks { Page.line("  \(remark)") }
        }
        if summary.fullJets > 0 {
            Page.heading(
                "\(Format.counted(summary.fullJets, "jet")) with as many constituents as the source has room for: "
                    + "its producer may have left out softer ones")
        }
        if summary.emptyJets > 0 {
            Page.heading("\(Format.counted(summary.emptyJets, "jet")) without constituents")
        }
        guard !summary.missing.isEmpty else { return }
        Page.heading("Missing")
        for gap in summary.missing {
            let rows = gap.rows.map { "rows \(gap.firstRow ?? 0)..\((gap.firstRow ?? 0) &+ $0)" } ?? "all of it"
            Page.line("  \(gap.input): \(rows): \(gap.reason)")
        }
    }

    private func showProvenance() {
        Page.heading(
            "Made by 'pando \(summary.command)'\(summary.schema.map { " with schema \($0)" } ?? "") from "
                + Format.counted(summary.inputs.count, "input"))
        let shown = isVerbose ? summary.inputs.count : Self.inputsShown
        for input in summary.inputs.prefix(shown) {
            let rows =
                input.rowsTaken == input.rows
                ? "\(Format.counted(input.rows, "jet"))"
                : "rows \(input.firstRow)..\(input.firstRow &+ input.rowsTaken) of \(Format.count(input.rows))"
            Page.line("  \(input.name): \(rows), \(Format.bytes(input.bytes)), digest \(input.headTailDigest)")
        }
        if summary.inputs.count > shown {
            Page.line(
                "  \(Glyphs.ellipsis) and \(Format.count(summary.inputs.count - shown)) more (--verbose shows all)")
        }
        Page.words(summary.options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }, separator: " ")
        Page.words(summary.writer.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }, separator: ", ")
        guard isVerbose else { return }
        Page.heading("Shards")
        for shard in summary.shards {
            Page.line(
                "  \(shard.file): \(Format.counted(shard.rows, "jet")) in "
                    + "\(Format.counted(shard.batches, "record batch")), \(Format.bytes(shard.bytes)), digest \(shard.digest)"
            )
        }
    }

    /// Prints how far an unfinished conversion is.
    static func show(_ conversion: UnfinishedConversion) {
        Page.line("\(conversion.path): a conversion that has not finished")
        let rows = conversion.rows.map { " of \(Format.count($0))" } ?? ""
        Page.line(
            "  done: \(Format.counted(conversion.shardsDone, "shard")), \(Format.count(conversion.rowsDone))\(rows) jets, "
                + Format.bytes(conversion.bytesDone))
        for input in conversion.inputs.prefix(inputsShown) { Page.line("  from \(input)") }
        if conversion.inputs.count > inputsShown {
            Page.line("  \(Glyphs.ellipsis) and \(conversion.inputs.count - inputsShown) more")
        }
        Page.words(conversion.options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }, separator: " ")
        if conversion.isClaimed {
            Page.line("  a process has claimed it: it may still be at work")
        }
        Page.line("  to finish it, run the same 'pando convert' again")
    }
}
