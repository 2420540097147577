import ArgumentParser
import Convert
import Shards
import Support
import Terminal

/// `pando export`.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Give the input files back: the same datasets, byte for byte, with their chunks and filters.",
        discussion: """
            ROOT files come back as HDF5 files: those of PFNano with the datasets of AspenOpenJets, those of JetClass with
            the branches of a kind in one dataset each.

            EXAMPLE
              pando export aoj.pando originals/
              pando export aoj.pando aoj.h5
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Argument(
        help: """
            The directory for the files, which is made if it is not there; or NAME.h5 for one file with the jets of all \
            inputs, one after the other. Files that exist are not touched.
            """)
    var output: String
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        var exporter = Exporter(dataset: dataset, output: output)
        let progress = Progress("exporting", unit: "jets", quiet: quiet)
        exporter.progress = { progress.show($0, of: $1) }
        Interruption.listen()
        exporter.isInterrupted = { Interruption.isRequested }
        defer { progress.finish() }
        let files = try exporter.run()
        progress.finish()
        if json {
            print(try CanonicalJSON.text(files))
            return
        }
        for file in files {
            if !quiet { print("\(file.file): \(Format.count(file.rows)) jets") }
            for remark in file.remarks { Console.warning("\(file.file): \(remark)") }
        }
    }
}
