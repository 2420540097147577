import ArgumentParser
import Shards
import Support
import Terminal

/// `pando index`.
struct IndexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index",
        abstract: "Make one dataset out of several without touching their shards.",
        discussion: """
            The new catalogue names the shards by relative paths. The tasks of a conversion end so; if one is missing,
            it is named.

            EXAMPLE
              pando index part0.pando part1.pando part2.pando --into aoj.pando
            """)

    @Argument(help: "The directories of the datasets, in the order of their rows.")
    var parts: [String]
    @Option(help: "The directory of the new dataset.")
    var into: String
    @Flag(name: .shortAndLong, help: "Print nothing.")
    var quiet = false

    func run() throws {
        let catalogue = try DatasetMerger(parts: parts, into: into).run()
        if !quiet {
            print(
                "\(into): \(Format.count(catalogue.rows)) jets in \(catalogue.shards.count) shards of \(parts.count) datasets"
            )
        }
    }
}
