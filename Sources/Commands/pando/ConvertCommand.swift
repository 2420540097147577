import ArgumentParser
import ArrowIPC
import Convert
import Foundation
import Shards
import Support
import Terminal

/// `pando convert`.
struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Convert HDF5 or ROOT files of jets to a dataset of compressed columnar shards.",
        discussion: """
            Nothing is lost: each batch is decoded again and compared with the source bit for bit before it is written.
            Killed or stopped, run the same command again: it goes on behind the last finished shard.

            AspenOpenJets HDF5 files and JetClass ROOT files are taken as they are. From PFNano ROOT files the jets of
            a selection are taken (--selection), and the cut flow is told.

            EXAMPLE
              pando convert aoj/*.h5 aoj.pando
              pando convert @files.txt aoj.pando --task 3/100
              pando convert @files.txt 'jets-{task}.pando' --task 3 --tasks 4
              pando convert @files.txt 'jets-{task}.pando' --tasks 4 --list
              pando convert jetclass/*/*.root jetclass.pando
              pando convert --golden golden.json pfnano/*.root pfnano.pando
            """)

    @Argument(
        help: ArgumentHelp(
            "Input files, then the directory of the dataset. @list.txt names a file with one input a line.",
            valueName: "input> ... <output"))
    var paths: [String]
    @Option(
        help:
            "What the inputs hold: aspen-open-jets, jetclass, pfnano or a JSON file; default: what fits the first input."
    )
    var schema: String?
    @Option(help: "Which events and jets of PFNano files are taken: a name or a JSON file; default: aoj-2016.")
    var selection: String?
    @Option(help: "Take only luminosity blocks that this JSON file certifies; both ends of its ranges count.")
    var golden: String?
    @Option(help: "Take only jets that match a generated top, W, Z or H.")
    var match: String?
    @Option(help: "Codec of the shards: zstd, lz4 or none.")
    var codec = "zstd"
    @Option(help: "Level of zstd; 1 is faster and 1% larger.")
    var level = 3
    @Option(help: "At most so many jets a record batch.")
    var batchRows = 2048
    @Option(help: "Size at which a shard is closed, for example 64MiB.")
    var shardSize = "256MiB"
    @Option(help: "Mix so many inputs in each record batch.")
    var interleave = 16
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Option(help: "Convert at most so many jets.")
    var limit: Int?
    @Option(
        help: ArgumentHelp(
            "Convert part I of N of every input, I from 0 on; join the parts with 'pando index'. 'auto' takes the numbers "
                + "from a Slurm array, HTCondor's description of the job, or PANDO_TASK=I/N. {task} in the output's name "
                + "becomes I.", valueName: "I/N"))
    var task: String?
    @Option(help: "How many tasks there are, where --task does not say.")
    var tasks: Int?
    @Flag(help: "Only say what each task would read and write.")
    var list = false
    @Option(help: "Shares of the splits, by hash of the event. JetClass keeps the splits of its folders.")
    var splits = "train=0.8,val=0.1,test=0.1"
    @Option(help: "Offsets buffers of list columns: shared (smaller) or separate.")
    var offsets = "shared"
    @Option(help: "What to do about an input that cannot be read: fail or skip.")
    var onBadInput = "fail"
    @Flag(help: "Write no parity: 3% smaller, 'pando repair' then needs the inputs.")
    var noParity = false
    @Flag(help: "Only say what would be done.")
    var dryRun = false
    @Flag(help: "Go on although another process's claim lies on the output; only if that process is dead.")
    var takeOver = false
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false
    @Flag(help: "Tell the progress as lines of JSON, for a program that shows it.")
    var progressLines = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("name at least one input and the output") }
        guard ["shared", "separate"].contains(offsets) else { throw ValidationError("--offsets is shared or separate") }
        guard ["fail", "skip"].contains(onBadInput) else { throw ValidationError("--on-bad-input is fail or skip") }
        guard match.map({ GeneratorMatch(rawValue: $0) != nil }) ?? true else {
            throw ValidationError("--match is \(GeneratorMatch.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        _ = try options()
    }

    private func options() throws -> ConversionOptions {
        var options = ConversionOptions()
        switch codec {
        case "zstd":
            guard (-7...19).contains(level), level != 0 else { throw ValidationError("--level is -7 to 19, not 0") }
            options.compression = .zstd(level: level)
        case "lz4": options.compression = .lz4
        case "none": options.compression = .none
        default: throw ValidationError("--codec is zstd, lz4 or none")
        }
        guard (1...65_536).contains(batchRows) else { throw ValidationError("--batch-rows is 1 to 65536") }
        guard let bytes = Sizes.bytes(shardSize), (1...(1 << 40)).contains(bytes) else {
            throw ValidationError("--shard-size is a size such as 256MiB or 100MB")
        }
        guard (1...1024).contains(interleave) else { throw ValidationError("--interleave is 1 to 1024") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
        if let limit, limit < 0 { throw ValidationError("--limit is not negative") }
        options.task = try TaskNumbers(task: task, tasks: tasks, list: list, output: paths.last ?? "").given
        options.splits = try Sizes.splits(splits)
        options.batchRows = batchRows
        options.shardBytes = bytes
        options.interleave = interleave
        options.limit = limit
        options.makesParity = !noParity
        options.sharesOffsets = offsets == "shared"
        options.skipsBadInput = onBadInput == "skip"
        options.threads = threads ?? Machine.usableCores
        options.takesOver = takeOver
        return options
    }

    func run() throws {
        var options = try options()
        let numbers = try TaskNumbers(task: task, tasks: tasks, list: list, output: paths.last ?? "")
        if let found = try numbers.find() {
            if !quiet { Console.note("\(found)") }
            options.task = found.task
        }
        // A requeued task may find the claim of its first run, which died on another host.
        options.takesOverAfter = options.task == nil ? nil : ClaimWatch.silence
        let inputs = try InputList.expand(Array(paths.dropLast()))
        let output = numbers.output(of: options.task)
        let schema = try schema.map { try SourceSchema(named: $0) } ?? SourceSchema.fitting(first: inputs)
        options.selection = try choice(schema)
        var converter = Converter(inputs: inputs, output: output, schema: schema, options: options)
        let looking = Progress("looking at", unit: "inputs", quiet: quiet, forPrograms: progressLines)
        converter.preparing = { done, all in
            looking.show(done, of: all)
            if done == all { looking.finish() }
        }
        let progress = Progress("converting", unit: "jets", quiet: quiet, forPrograms: progressLines)
        converter.progress = { progress.show($0, of: $1) }
        Interruption.listen()
        converter.isInterrupted = { Interruption.isRequested }
        if list {
            try TaskList(converter: converter, pattern: numbers.pattern, count: numbers.count(options.task))
                .show(json: json)
            return
        }
        if dryRun {
            try show(try converter.forecast())
            return
        }
        if try isAlreadyDone(converter, output) { return }
        let catalogue: Catalogue
        do {
            catalogue = try converter.run()
            progress.finish()
        } catch {
            progress.finish()
            throw error
        }
        try report(catalogue, output, seconds: progress.elapsed)
        for remark in catalogue.remarks ?? [] where !quiet { Console.warning(remark) }
        for gap in catalogue.missing {
            let what = gap.rows.map { "rows \(gap.firstRow ?? 0)..<\((gap.firstRow ?? 0) + $0)" } ?? "all of it"
            Console.warning("\(gap.input): \(what) left out: \(gap.reason)")
        }
        if !catalogue.missing.isEmpty { throw ExitCode(3) }
    }

    /// Which events and jets are taken, of inputs that hold events.
    private func choice(_ schema: SourceSchema) throws -> SelectionChoice? {
        guard schema.format == .pfnano else {
            for (option, value) in [("--selection", selection), ("--golden", golden), ("--match", match)]
            where value != nil {
                throw ValidationError("\(option) is for PFNano files, and the schema is '\(schema.name)'")
            }
            return nil
        }
        return SelectionChoice(
            selection: try Selection(named: selection ?? Selection.builtIn[0]),
            golden: try golden.map { try GoldenJSON(path: $0) }, match: match.flatMap { GeneratorMatch(rawValue: $0) })
    }

    /// Schedulers start the same work twice: that is no failure, and no file of the dataset is touched.
    private func isAlreadyDone(_ converter: Converter, _ output: String) throws -> Bool {
        guard Directory.exists("\(output)/\(Catalogue.fileName)"),
            let catalogue = try? Dataset(directory: output).catalogue
        else { return false }
        if let difference = try converter.difference(from: catalogue) {
            throw DatasetError(
                .occupied, file: output, message: "already holds a dataset, but not this one: \(difference)",
                advice: "choose another name, or remove it first")
        }
        try DatasetWriter.tidy(output)
        if !quiet { Console.write("\(output): already complete, \(Format.count(catalogue.rows)) jets\n") }
        if json { print(try CanonicalJSON.text(Outcome(catalogue: catalogue, output: output, seconds: 0))) }
        return true
    }

    private struct Outcome: Encodable {
        var output: String
        var rows: Int
        var constituents: Int
        var inputBytes: Int
        var bytes: Int
        var ratio: Double
        var seconds: Double
        var peakMemory: Int
        var missing: [Gap]
        var fingerprint: Digest
        var cutFlow: [CutFlowEntry]
        var generator: GeneratorSums?
        var remarks: [String]

        init(catalogue: Catalogue, output: String, seconds: Double) {
            self.output = output
            rows = catalogue.rows
            constituents = catalogue.constituents
            inputBytes = catalogue.provenance.inputs.reduce(0) { $0 + $1.bytes }
            bytes = DatasetSize.all(output)
            ratio = Double(bytes) / Double(max(1, inputBytes))
            self.seconds = seconds
            peakMemory = Machine.peakMemory
            missing = catalogue.missing
            fingerprint = catalogue.fingerprint
            cutFlow = catalogue.cutFlow
            generator = catalogue.generator
            remarks = catalogue.remarks ?? []
        }
    }

    private func report(_ catalogue: Catalogue, _ output: String, seconds: Double) throws {
        let outcome = Outcome(catalogue: catalogue, output: output, seconds: seconds)
        if json {
            print(try CanonicalJSON.text(outcome))
            return
        }
        guard !quiet else { return }
        let rate = Int(Double(outcome.rows) / max(seconds, 1e-9))
        print(
            "\(output): \(Format.count(outcome.rows)) jets with \(Format.count(outcome.constituents)) constituents in "
                + "\(catalogue.shards.count) shard\(catalogue.shards.count == 1 ? "" : "s"), \(Format.bytes(outcome.bytes)) "
                + "(\(String(format: "%.3f", outcome.ratio)) of the inputs), \(Format.duration(seconds)), \(Format.count(rate)) jets/s"
        )
        guard catalogue.provenance.selection != nil else { return }
        Page.table(CutFlowTable.of(catalogue.cutFlow))
    }

    private func show(_ forecast: Converter.Forecast) throws {
        if json {
            print(try CanonicalJSON.text(forecast))
            return
        }
        for input in forecast.inputs {
            print(
                "\(input.name): rows \(input.firstRow)..<\(input.firstRow + input.rowsTaken) of \(Format.count(input.rows)), \(Format.bytes(input.bytes))"
            )
        }
        for gap in forecast.missing { print("left out: \(gap.reason)") }
        print(
            "\(Format.count(forecast.rows)) jets in \(forecast.batches) record batches of up to \(batchRows), \(forecast.interleave) inputs at once"
        )
        print(forecast.columns.map { "  \($0[0]): \($0[1])" }.joined(separator: "\n"))
        Page.table(CutFlowTable.of(forecast.cutFlow))
        for remark in forecast.remarks { Console.warning(remark) }
    }
}
