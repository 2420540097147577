import ArgumentParser
import Foundation
import Shards
import Support
import Terminal

/// `pando verify`.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of a dataset; with --lossless also that decoding gives back what was read.",
        discussion: """
            The source is not needed: digests of its columns are kept with the jets.

            EXAMPLE
              pando verify --lossless aoj.pando

            EXIT STATUS  0 sound; 1 damaged.
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Flag(help: "Decode everything and compare digests of the original columns.")
    var lossless = false
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func run() throws {
        var verifier = DatasetVerifier(directory: dataset)
        verifier.provesLosslessness = lossless
        verifier.threads = threads ?? Machine.usableCores
        let progress = Progress("verifying", unit: "bytes", quiet: quiet)
        verifier.progress = { done, total in
            progress.show(done, of: total)
            return true
        }
        let report = try verifier.run()
        progress.finish()
        if json {
            print(try CanonicalJSON.text(report))
        } else if report.isSound {
            let proof =
                lossless
                ? ", decoding gives back the original columns in all \(Format.count(report.batchesDecoded)) record batches"
                : ""
            print("\(dataset): sound (\(report.files) files, \(Format.bytes(report.bytes))\(proof))")
        } else {
            for damage in report.damage {
                let rows = damage.rows.map { ", rows \(damage.firstRow ?? 0)..<\((damage.firstRow ?? 0) + $0)" } ?? ""
                print(
                    "\(dataset)/\(damage.file)\(damage.place.isEmpty ? "" : ", \(damage.place)")\(rows): \(damage.message)"
                )
            }
            print(
                "\(dataset): damaged in \(report.damage.count) place\(report.damage.count == 1 ? "" : "s"); run 'pando repair \(dataset)'"
            )
        }
        if !report.isSound { throw ExitCode(1) }
    }
}
