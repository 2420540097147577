import Convert
import Shards
import Support
import TestSupport
import Testing

@Suite struct VerifierTests {
    @Test(arguments: [false, true])
    func `whoever is told how far it is can end the work`(isLossless: Bool) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: path, schema: try SourceSchema(named: "aspen-open-jets"),
            options: ConversionOptions()
        ).run()
        let told = Monitor(0)
        var verifier = DatasetVerifier(directory: path)
        verifier.provesLosslessness = isLossless
        verifier.progress = { done, total in
            told.update { $0 += 1 }
            // Of the two passes the one or the other.
            return isLossless && done < total / 2
        }
        let error = #expect(throws: DatasetError.self) { try verifier.run() }
        #expect(error?.code == .interrupted)
        #expect(told.read { $0 } >= 1)
        // Nobody who ends nothing is disturbed.
        verifier.progress = { _, _ in true }
        #expect(try verifier.run().isSound)
    }
}
