import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct BatchFeatureTests {
    private func dataset(_ directory: TemporaryDirectory) throws -> String {
        let path = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: path, schema: try SourceSchema(named: "aspen-open-jets"),
            options: ConversionOptions()
        ).run()
        return path
    }

    @Test(arguments: LoaderContents.AngleSource.allCases)
    func `features of a batch are those of its jets, relative to the axis of all constituents`(
        angles: LoaderContents.AngleSource
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        var options = LoaderOptions()
        options.batchSize = 32
        var contents = LoaderContents(columns: ["px", "py", "pz", "E"], features: .released)
        contents.angles = angles
        let loader = try Loader(dataset: path, contents: contents, options: options)
        let length = 128, batches = try loader.batches()
        while let batch = try batches.next() {
            let (values, mask) = (batch.features, batch.mask)
            #expect(values.count == batch.rows * length * 3 && mask.count == batch.rows * length)
            let momenta = try ["px", "py", "pz"].map { try #require(batch.floats($0)) }
            for row in 0..<batch.rows {
                let range = Int(batch.offsets[row])..<Int(batch.offsets[row + 1])
                let sum = momenta.map { column in range.reduce(0.0) { $0 + Double(column[$1]) } }
                let jetEta = asinh(sum[2] / hypot(sum[0], sum[1])), jetPhi = atan2(sum[1], sum[0])
                var slot = row * length
                for index in range where slot < (row + 1) * length {
                    let (x, y, z) = (Double(momenta[0][index]), Double(momenta[1][index]), Double(momenta[2][index]))
                    let eta = asinh(z / hypot(x, y)) - jetEta, phi = remainder(atan2(y, x) - jetPhi, 2 * Double.pi)
                    guard abs(eta) < 0.8, abs(phi) < 0.8 else { continue }
                    #expect(mask[slot] == 1)
                    #expect(abs(Double(values[slot * 3]) - (log(hypot(x, y)) - 1.8)) < 1e-6)
                    #expect(abs(Double(values[slot * 3 + 1]) - 3 * eta) < 2e-6)
                    #expect(abs(Double(values[slot * 3 + 2]) - 3 * phi) < 2e-6)
                    slot += 1
                }
                for empty in slot..<(row + 1) * length {
                    #expect(mask[empty] == 0 && values[empty * 3] == 0 && values[empty * 3 + 2] == 0)
                }
            }
        }
    }

    @Test func `angles as CMS stored them are those of the four-momenta, but for rounding`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let features = try FeatureConfiguration(
            ["part_pt", "part_eta", "part_phi", "part_energy", "d0"].map { Feature($0) })
        func batches(_ angles: LoaderContents.AngleSource) throws -> [[Float]] {
            var contents = LoaderContents(features: features)
            contents.angles = angles
            let batches = try Loader(dataset: path, contents: contents).batches()
            var all: [[Float]] = []
            while let batch = try batches.next() { all.append(Array(batch.features)) }
            return all
        }
        let (stored, computed) = (try batches(.stored), try batches(.momenta))
        #expect(stored.count == computed.count && !stored.isEmpty && stored != computed)
        for (one, other) in zip(stored, computed) {
            for (index, (a, b)) in zip(one, other).enumerated() {
                if index % 5 == 2 {
                    #expect(abs(remainder(a - b, 2 * Float.pi)) < 4e-7)
                } else if index % 5 < 2 {
                    #expect(abs(a - b) <= 3e-7 * max(1, abs(b)))
                } else {
                    #expect(a == b)
                }
            }
        }
    }

    @Test func `a feature that does not exist is refused before the first batch`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let contents = LoaderContents(features: try FeatureConfiguration([Feature("part_nonsense")]))
        let error = #expect(throws: LoaderError.self) { try Loader(dataset: path, contents: contents) }
        #expect(error?.code == .feature && error?.place.contains("part_nonsense") == true)
    }
}
