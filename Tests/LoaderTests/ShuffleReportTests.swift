import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct ShuffleReportTests {
    /// The sample in record batches of 50 jets.
    private func dataset(_ directory: TemporaryDirectory) throws -> String {
        var options = ConversionOptions()
        options.batchRows = 50
        let output = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: output, schema: try SourceSchema(named: "aspen-open-jets"),
            options: options
        ).run()
        return output
    }

    @Test func `a report on a dataset says what its batches say`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        var options = LoaderOptions()
        options.batchSize = 16
        options.streams = 8
        // Whole batches are looked at whatever the rank.
        (options.rank, options.worldSize) = (1, 2)
        let dataset = try Dataset(directory: path)
        let key = try #require(
            dataset.catalogue.encoding.fields.first { $0.role != .constituent && $0.name.contains("run") }?.name)
        let report = try ShuffleReport.measure(dataset: path, options: options, key: key, epochs: 3)
        #expect(report.jets == 1727 && report.epochs == 3 && report.epochCorrelations.count == 2)
        #expect(report.epochCorrelations.allSatisfy { abs($0) < 0.8 })
        let mean = try #require(report.neighbours)
        #expect(abs(mean.value - report.expectedNeighbours) < 0.05)
        // The same by the values of the batches themselves.
        (options.rank, options.worldSize, options.dropLast) = (0, 1, false)
        let loader = try Loader(dataset: path, columns: [key], options: options)
        var seen: [Data: Int] = [:], meter = VarianceMeter(batchSize: 16, categories: report.categories)
        for epoch in 0..<3 {
            let batches = try loader.batches(epoch: epoch)
            while let batch = try batches.next() {
                let bytes = Data(try #require(batch.bytes(of: key))), width = bytes.count / batch.rows
                meter.add(
                    (0..<batch.rows).map { row in
                        let value = bytes.subdata(in: row * width..<(row + 1) * width)
                        if seen[value] == nil { seen[value] = seen.count }
                        return seen[value] ?? 0
                    })
            }
        }
        #expect(seen.count == report.categories)
        let found = try #require(report.variances.first?.shuffled), counted = try #require(meter.ratio(epochs: 3))
        #expect(abs(found.value - counted.value) < 1e-9)
        #expect(try JSONDecoder().decode(ShuffleReport.self, from: JSONEncoder().encode(report)) == report)
        for part in [
            "1727 jets", "variance of batches", "variance of 16 batches together", "correlation of epochs 1, 2",
        ] {
            #expect(report.text.contains(part))
        }
    }

    @Test func `one input file has no variance, and a key that does not exist is refused with those that do`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let report = try ShuffleReport.measure(dataset: path, epochs: 1)
        #expect(report.categories == 1 && report.variances.allSatisfy { $0.shuffled == nil })
        let error = #expect(throws: LoaderError.self) { try ShuffleReport.measure(dataset: path, key: "px") }
        #expect(error?.code == .feature && error?.advice?.contains("source") == true)
    }
}
