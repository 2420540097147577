import ArgumentParser
import Convert
import Evaluation
import Foundation
import Loader
import Shards
import Support
import Terminal

/// `pando compare`.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare the jets of datasets: observables, KL divergence, Wasserstein distance, figures.",
        discussion: """
            The first dataset is the reference. Jets are chosen behind an @: name (in legends), split, label (of the column
            label, several joined by +), limit. Groups of observables: jet, nsubjettiness, correlators (original: these
            three), groomed, literature, onepass, types; all.

            EXAMPLE
              pando compare aoj.pando jetclass.pando --into comparison
              pando compare jets.pando@name=QCD,label=0 jets.pando@name=top,label=8 --groups original,groomed
            """)

    @Argument(help: "The reference, then the others: DATASET[@name=NAME,split=SPLIT,label=N,limit=N].")
    var datasets: [String]
    @Option(help: "A directory for figures (SVG, PNG, CSV, gnuplot) and report.html; default: only the table.")
    var into: String?
    @Option(help: "Groups of observables, separated by commas.")
    var groups = "original,groomed"
    @Option(help: "Only these observables, separated by commas.")
    var observables: String?
    @Option(
        help:
            "See constituents as a tokenizer does: 'released' or a JSON file of features; default: as they are stored.")
    var features: String?
    @Option(help: "Jets of a dataset at most, chosen at random; 0: all.")
    var limit = 100_000
    @Option(help: "Jets with fewer constituents have no substructure.")
    var minimumConstituents = 3
    @Option(help: "Replicas of the bootstrap; 0: no uncertainties.")
    var replicas = 200
    @Option(help: "Seed of the bootstrap.")
    var seed: UInt64 = 0
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Flag(help: "Print all metrics as JSON.")
    var json = false
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false

    func validate() throws {
        guard datasets.count >= 2 else {
            throw ValidationError("two datasets at least; for one, 'pando inspect DATASET --figures DIR'")
        }
        do {
            _ = try ObservableGroups(parsing: groups)
            for text in datasets { _ = try JetChoice(parsing: text) }
        } catch { throw ValidationError("\(error)") }
        for name in observables?.split(separator: ",") ?? [] where Observable.named(String(name)) == nil {
            throw ValidationError(
                "--observables: there is no '\(name)'; there are \(Observable.all.map(\.name).joined(separator: ", "))")
        }
        guard limit >= 0, replicas >= 0, minimumConstituents >= 1 else { throw ValidationError("numbers are positive") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
    }

    func run() throws {
        Interruption.listen()
        let found = try Self.compare(
            try datasets.map(JetChoice.init(parsing:)), request(), options: options(), keepsConstituents: into != nil,
            quiet: quiet)
        if let into {
            let page = try Self.write(found, title: "Jets compared", into: into, quiet: quiet)
            let encoded = try CanonicalJSON.text(found.json)
            try OutputFile.write(Array(encoded.utf8), to: into + "/comparison.json")
            if !json, !quiet { print(page) }
        }
        json ? print(try CanonicalJSON.text(found.json)) : Self.show(found)
    }

    /// What is wanted of each dataset.
    struct Request {
        var groups: ObservableGroups
        var observables: [Observable]
        var view: JetSample.View
        var limit: Int?
        var minimumConstituents: Int
        var threads: Int
    }

    private func request() throws -> Request {
        var groups = try ObservableGroups(parsing: groups), chosen: [Observable]?
        if let observables {
            let names = observables.split(separator: ",").map(String.init)
            chosen = names.compactMap(Observable.named)
            groups = ObservableGroups(needing: chosen ?? [])
        }
        return Request(
            groups: groups, observables: chosen ?? groups.observables,
            view: try features.map { .tokenizer(try Features.read($0)) } ?? .stored, limit: limit > 0 ? limit : nil,
            minimumConstituents: minimumConstituents, threads: threads ?? Machine.usableCores)
    }

    private func options() -> Comparison.Options {
        var options = Comparison.Options()
        options.threads = threads ?? Machine.usableCores
        options.bootstrap =
            replicas > 0 ? Bootstrap(replicas: replicas, seed: seed, threads: options.threads) : nil
        return options
    }

    /// Computes observables of all datasets, and the metrics.
    static func compare(
        _ choices: [JetChoice], _ request: Request, options: Comparison.Options, keepsConstituents: Bool, quiet: Bool
    ) throws -> DatasetComparison {
        let reading = Progress("observing", unit: "datasets", quiet: quiet)
        defer { reading.finish() }
        let all = try choices.enumerated().map { number, choice in
            reading.show(number, of: choices.count)
            var sample = choice.sample(limit: request.limit)
            (sample.view, sample.threads, sample.keepsConstituents) = (request.view, request.threads, keepsConstituents)
            sample.options.minimumConstituents = request.minimumConstituents
            sample.isInterrupted = { Interruption.isRequested }
            return try ComparedJets(choice.name, sample, groups: request.groups)
        }
        reading.finish()
        let comparing = Progress("comparing", unit: "observables", quiet: quiet)
        defer { comparing.finish() }
        return try DatasetComparison(
            reference: all[0], others: Array(all.dropFirst()), observables: request.observables, options: options
        ) { comparing.show($0, of: $1) }
    }

    /// Writes figures and the page.
    static func write(
        _ found: DatasetComparison, title: String, into directory: String, quiet: Bool
    ) throws -> String {
        let drawing = Progress("drawing", unit: "figures", quiet: quiet)
        defer { drawing.finish() }
        return try found.write(
            title: title, into: directory,
            provenance: [
                ("command", CommandLine.arguments.dropFirst().reduce("pando") { "\($0) \($1)" }),
                ("pando", Version.number),
            ]
        ) { drawing.show($0, of: $1) }
    }

    private static func show(_ found: DatasetComparison) {
        let counts = found.datasetTable
        var datasets = Table(
            columns: counts.columns.prefix(6).enumerated().map { number, title in
                .init(title: title, isNumber: (1...4).contains(number))
            })
        datasets.rows = counts.rows.map { Array($0.prefix(6)) }
        Page.table(datasets)
        let metrics = found.table([.kl, .wasserstein, .jensenShannon, .kolmogorovSmirnov])
        var table = Table(
            columns: metrics.columns.enumerated().map { number, title in
                .init(
                    title: title, isNumber: (2...11).contains(number),
                    dispensability: number > 7 && number < 12 ? number : 0)
            })
        table.rows = metrics.rows
        Page.heading(metrics.caption)
        Page.table(table)
        if !found.undefined.isEmpty { Page.line("not defined on one side: \(found.undefined.joined(separator: ", "))") }
    }
}

/// Features from a command line.
enum Features {
    /// Those of the released tokenizers, or those of a JSON file.
    static func read(_ text: String) throws -> FeatureConfiguration {
        guard text != "released" else { return .released }
        return try FeatureConfiguration(
            json: String(decoding: InputFile(path: text).readAll(limit: 1 << 20), as: UTF8.self))
    }
}
