import ArgumentParser
import Convert
import Shards
import Support
import Terminal

/// `pando composition`.
struct CompositionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "composition",
        abstract: "Estimate from simulation how many jets of each process data hold.",
        discussion: """
            Of each sample: luminosity times cross section times the share of generated weights that passed selection and
            match. What data have beyond the other processes is QCD. Datasets whose inputs lie in folders named after
            their sample are recognised; of others say which: SAMPLE=DATASET, where the begin of the name will do.

            EXAMPLE
              pando composition --data jetht.pando TTToHadronic=tth.pando WJetsToQQ_HT-400to600=w400.pando
            """)

    @Argument(help: ArgumentHelp("Datasets of simulation.", valueName: "sample=dataset"))
    var parts: [String]
    @Option(parsing: .singleValue, help: "A dataset of data; may be given several times.")
    var data: [String] = []
    @Option(help: "Cross sections by sample: a JSON file; default: those of the AspenOpenJets paper.")
    var crossSections: String?
    @Option(help: "Luminosity of the data in inverse femtobarn; default: that of the cross sections' file.")
    var luminosity: Double?
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard luminosity.map({ $0.isFinite && $0 > 0 }) ?? true else {
            throw ValidationError("--luminosity is positive")
        }
    }

    func run() throws {
        let table = try CrossSections(path: crossSections)
        let found = try Composition(
            of: parts.map { Composition.Part($0) }, data: data, table: table, luminosity: luminosity)
        if json {
            print(try CanonicalJSON.text(found))
            return
        }
        show(found)
        if !found.missing.isEmpty {
            Console.warning(
                "no datasets of \(found.missing.joined(separator: ", ")): what they would add is not counted")
        }
    }

    private func show(_ found: Composition) {
        Page.line("Samples, at \(Format.five(found.luminosity)) inverse femtobarn")
        var samples = Table(columns: [
            .init(title: "sample"), .init(title: "process"), .init(title: "pb", isNumber: true),
            .init(title: "generated", isNumber: true), .init(title: "jets", isNumber: true),
            .init(title: "of weights", isNumber: true), .init(title: "estimate", isNumber: true),
            .init(title: "error", isNumber: true),
        ])
        for sample in found.samples {
            let name = sample.dataset.split(separator: "/").first.map(String.init) ?? sample.dataset
            samples.rows.append([
                name, sample.process, Format.five(sample.crossSection), Format.count(Int(sample.events)),
                Format.count(sample.selected), Format.percent(sample.efficiency), Format.five(sample.jets),
                Format.five(sample.uncertainty),
            ])
        }
        Page.table(samples)
        Page.heading(found.dataJets.map { "Processes in \(Format.counted($0, "jet")) of data" } ?? "Processes")
        var processes = Table(columns: [
            .init(title: "process"), .init(title: "jets", isNumber: true), .init(title: "error", isNumber: true),
            .init(title: "share", isNumber: true), .init(title: ""),
        ])
        for process in found.processes {
            processes.rows.append([
                process.process, Format.five(process.jets), Format.five(process.uncertainty),
                Format.percent(process.share),
                process.isRemainder ? "what the others leave" : "",
            ])
        }
        Page.table(processes)
    }
}
