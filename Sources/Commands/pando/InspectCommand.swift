import ArgumentParser
import ArrowIPC
import Foundation
import Glibc
import HDF5File
import ROOTFile
import Shards
import Support
import Terminal

/// `pando inspect`.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what is in a dataset, a shard, or any Arrow IPC, HDF5 or ROOT file; or single jets of it.",
        discussion: """
            Reads the catalogue, the index and a few record batches, however large the dataset is.

            EXAMPLE
              pando inspect aoj.pando
              pando inspect aoj.pando --rows 7 --constituents 50
              pando inspect aoj.pando --event 278509:73:112358132 --json
              pando inspect aoj.pando --figures figures
              pando inspect TTBar_000.root --tree tree --columns jet_pt,part_px --rows 0..3

            EXIT STATUS  0 shown; 1 damage was seen, or no jet is from that event.
            """)

    @Argument(help: "A dataset's directory, a shard, or an Arrow IPC, HDF5 or ROOT file.")
    var path: String
    @Option(help: ArgumentHelp("Show rows A to B-1, or one row.", valueName: "A..B"))
    var rows: String?
    @Option(help: ArgumentHelp("Show the jets of an event.", valueName: "RUN:LUMI:EVENT"))
    var event: String?
    @Option(
        help: ArgumentHelp(
            "Of a ROOT file, show only this tree; a path, with ;N for an older cycle.", valueName: "TREE"))
    var tree: String?
    @Option(help: ArgumentHelp("Show only these columns.", valueName: "a,b,c"))
    var columns: String?
    @Option(
        help: ArgumentHelp(
            "Of a dataset, draw observables and constituents of at most 100,000 jets into this directory, with report.html.",
            valueName: "DIR"))
    var figures: String?
    @Option(help: ArgumentHelp("Show so many constituents of a jet; default: 20, with --json all.", valueName: "N"))
    var constituents: Int?
    @Flag(help: "Print one JSON document (docs/inspect.md names its keys).")
    var json = false
    @Flag(name: .shortAndLong, help: "Show all inputs, shards, metadata and columns in full.")
    var verbose = false

    func validate() throws {
        if rows != nil { _ = try rowRange() }
        if event != nil { _ = try eventNumbers() }
        guard rows == nil || event == nil else { throw ValidationError("--rows and --event do not go together") }
        guard figures == nil || (rows == nil && event == nil) else {
            throw ValidationError("--figures goes with no choice of jets")
        }
        if let constituents, constituents < 0 { throw ValidationError("--constituents is not negative") }
    }

    private func rowRange() throws -> Range<Int>? {
        guard let rows else { return nil }
        let parts = rows.components(separatedBy: "..").map { Int($0) }
        if parts.count == 1, let row = parts[0], row >= 0, row < Int.max { return row..<row + 1 }
        guard parts.count == 2, let first = parts[0], let end = parts[1], first >= 0, first <= end else {
            throw ValidationError("--rows is like 0..10 (row 10 is not shown) or 7")
        }
        return first..<end
    }

    private func eventNumbers() throws -> [Int64]? {
        guard let event else { return nil }
        let numbers = event.split(separator: ":", omittingEmptySubsequences: false).map { Int64($0) }
        guard numbers.allSatisfy({ $0 != nil }) else {
            throw ValidationError("--event is like 278509:73:112358132 (run, luminosity block, event)")
        }
        return numbers.compactMap { $0 }
    }

    private var columnNames: [String]? {
        columns?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    func run() throws {
        let asksForJets = rows != nil || event != nil
        switch try InspectTarget(path: path) {
        case .dataset where figures != nil: try InspectFigures.draw(path, into: figures ?? "")
        case .dataset where asksForJets:
            try show(try JetReader(try Dataset(directory: path), columns: columnNames), kind: "dataset")
        case .dataset:
            let summary = try DatasetSummary(directory: path, columns: columnNames)
            try show(summary) { InspectDataset(summary: summary, isVerbose: verbose).show() }
            try report(summary.problems, advice: "run 'pando verify \(path)'")
        case .unfinished(let conversion):
            guard !asksForJets else {
                throw DatasetError(
                    .notADataset, file: path, message: "its conversion has not finished",
                    advice: "run the same 'pando convert' again to finish it")
            }
            try show(conversion) { InspectDataset.show(conversion) }
        case .arrow:
            let file = try ArrowFile(path: path)
            guard asksForJets else {
                let size = try InputFile(path: path).size
                let summary = try ArrowSummary(file, path: path, size: size, columns: columnNames)
                try show(summary) { InspectArrow(summary: summary, isVerbose: verbose).show() }
                return try report(summary.problems, advice: "get a new copy of the file")
            }
            if let reader = try JetReader(shard: file, path: path, columns: columnNames) {
                try show(reader, kind: "shard")
            } else {
                try showRows(of: file)
            }
        case .hdf5:
            guard !asksForJets else {
                throw DatasetError(
                    .usage, file: path, message: "is an HDF5 file, of which no single rows are shown",
                    advice: "convert it with 'pando convert' first, or use h5dump")
            }
            let summary = try HDF5Summary(path: path, datasets: columnNames)
            try show(summary) { summary.show() }
        case .root:
            if let range = try rowRange() { return try showRows(ofROOT: ROOTFile(path: path), range) }
            guard event == nil else {
                throw DatasetError(
                    .usage, file: path, message: "is a ROOT file, in which no events are searched",
                    advice: "convert it with 'pando convert' first, or look at entries with --rows")
            }
            let summary = try ROOTSummary(
                path: path, options: .init(tree: tree, columns: columnNames, digests: verbose && json))
            try show(summary) { summary.show() }
            try report(summary.problems, advice: "get a new copy of the file")
        }
    }

    /// Prints a summary as JSON or as text.
    private func show(_ summary: some Encodable, asText: () -> Void) throws {
        guard json else { return asText() }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "NaN")
        print(String(decoding: try encoder.encode(summary), as: UTF8.self))
    }

    private func report(_ problems: [String], advice: String) throws {
        guard !problems.isEmpty else { return }
        for problem in problems { Console.warning(problem) }
        Console.error("\(path): \(Format.counted(problems.count, "problem")) found while looking; \(advice)")
        throw ExitCode(1)
    }

    private func show(_ reader: JetReader, kind: String) throws {
        let printer = JetPrinter(limit: constituents ?? (json ? .max : 20))
        let stream = JSONStream(isOn: json, kind: kind, path: path, items: "jets")
        if let range = try rowRange() {
            try reader.jets(in: range) { jet in
                json ? stream.add(printer.json(jet)) : printer.show(jet)
            }
            return stream.finish(["rows": .integer(Int64(reader.rowCount))])
        }
        guard let numbers = try eventNumbers() else { return }
        let search = try reader.find(event: numbers) { jet in
            json ? stream.add(printer.json(jet)) : printer.show(jet)
        }
        stream.finish(["rows": .integer(Int64(reader.rowCount)), "search": try JSONValue(encoding: search)])
        let opened = "\(search.opened) of \(Format.counted(search.batches, "record batch")) opened"
        if search.found == 0 {
            Console.error(
                "\(path): no jet is from event \(event ?? "") (\(reader.eventColumns.joined(separator: ":"))); \(opened)"
            )
            throw ExitCode(1)
        }
        if !json { Page.line("\(Format.counted(search.found, "jet")) found, \(opened)") }
    }

    private func showRows(of file: ArrowFile) throws {
        let rows = try ArrowRows(file, path: path, columns: columnNames)
        guard let range = try rowRange() else {
            throw DatasetError(
                .usage, file: path, message: "is no shard of a dataset, so nothing says which event its rows are from",
                advice: "look at single rows with --rows")
        }
        let stream = JSONStream(isOn: json, kind: "arrow", path: path, items: "values")
        try rows.visit(range) { row, values in
            if json {
                stream.add(
                    .object([
                        "row": .integer(Int64(row)),
                        "values": .object(Dictionary(values.map { ($0.name, $0.value) }) { first, _ in first }),
                    ]))
            } else {
                InspectArrow.show(row: row, values, limit: constituents ?? 20)
            }
        }
        stream.finish(["rows": .integer(Int64(rows.rowCount))])
    }
}

extension InspectCommand {
    private func showRows(ofROOT file: ROOTFile, _ range: Range<Int>) throws {
        let trees = try file.trees().map(\.path)
        guard let name = tree ?? (trees.count == 1 ? trees.first : nil) else {
            throw DatasetError(
                .usage, file: path, message: "has \(trees.count) trees",
                advice: "name one with --tree: \(trees.joined(separator: ", "))")
        }
        let rows = try ROOTRows(try file.tree(named: name), columns: columnNames)
        let stream = JSONStream(isOn: json, kind: "root", path: path, items: "entries")
        try rows.visit(range) { row, values in
            if json {
                stream.add(
                    .object([
                        "entry": .integer(Int64(row)),
                        "values": .object(Dictionary(values.map { ($0.name, $0.value) }) { first, _ in first }),
                    ]))
            } else {
                InspectArrow.show(row: row, values, limit: constituents ?? 20)
            }
        }
        stream.finish(["rows": .integer(Int64(rows.count)), "tree": .string(name)])
    }
}

/// One JSON document with a list that may be longer than memory: `{"kind":…,"path":…,"<items>":[…],…}`.
private final class JSONStream {
    private let isOn: Bool
    private var isEmpty = true
    private var start: String

    init(isOn: Bool, kind: String, path: String, items: String) {
        self.isOn = isOn
        start = #"{"kind":\#(JSONValue.string(kind).text),"path":\#(JSONValue.string(path).text),"\#(items)":["#
    }

    func add(_ value: JSONValue) {
        guard isOn else { return }
        print(isEmpty ? start : ",", value.text, separator: "", terminator: "")
        isEmpty = false
    }

    func finish(_ members: [String: JSONValue]) {
        guard isOn else { return }
        // Behind an opening brace and before a closing one.
        print(isEmpty ? start : "", "],", JSONValue.object(members).text.dropFirst(), separator: "")
    }
}
