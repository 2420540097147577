import ArgumentParser
import Convert
import Shards
import Support

/// `pando repair`.
struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Mend a damaged dataset from its parity and copies, and if the inputs are still there, from them.",
        discussion: """
            Every mended file is compared with its digest before it takes the place of the damaged one.

            EXAMPLE
              pando repair aoj.pando

            EXIT STATUS  0 sound again; 1 something is lost: it is named, down to rows.
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Flag(help: "Do not convert from the inputs again.")
    var noSource = false
    @Flag(name: .shortAndLong, help: "Print nothing but what is lost.")
    var quiet = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        Interruption.listen()
        var repairer = DatasetRepairer(directory: dataset)
        repairer.isInterrupted = { Interruption.isRequested }
        if !noSource {
            let directory = dataset
            repairer.remake = { catalogue, shards in
                try Converter.remake(shards: shards, of: catalogue, beside: directory, threads: Machine.usableCores)
            }
        }
        let report = try repairer.run()
        if json {
            print(try CanonicalJSON.text(report))
        } else {
            if !quiet {
                for file in report.mended { print("\(dataset)/\(file.file): \(file.message)") }
                if report.lost.isEmpty {
                    print(report.mended.isEmpty ? "\(dataset): nothing to mend" : "\(dataset): sound again")
                }
            }
            for damage in report.lost {
                let rows = damage.rows.map { ", rows \(damage.firstRow ?? 0)..<\((damage.firstRow ?? 0) + $0)" } ?? ""
                print(
                    "\(dataset)/\(damage.file)\(damage.place.isEmpty ? "" : ", \(damage.place)")\(rows): lost: \(damage.message)"
                )
            }
        }
        if !report.lost.isEmpty { throw ExitCode(1) }
    }
}
