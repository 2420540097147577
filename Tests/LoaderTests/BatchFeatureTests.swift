import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct BatchFeatureTests {
    @Test func `features of a batch are those of its jets, relative to the axis of all constituents`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: path, schema: try SourceSchema(named: "aspen-open-jets"),
            options: ConversionOptions()
        ).run()
        var options = LoaderOptions()
        options.batchSize = 32
        let loader = try Loader(dataset: path, columns: ["px", "py", "pz", "E"], options: options)
        let assembler = try FeatureAssembler(.released)
        let length = assembler.configuration.padLength
        let batch = try #require(try loader.batches().next())
        var values = [Float](repeating: .nan, count: batch.rows * length * 3)
        var mask = [UInt8](repeating: 9, count: batch.rows * length)
        try values.withUnsafeMutableBufferPointer { values in
            try mask.withUnsafeMutableBufferPointer { mask in try batch.assemble(assembler, values: values, mask: mask)
            }
        }
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
                #expect(abs(Double(values[slot * 3 + 1]) - 3 * eta) < 1e-6)
                #expect(abs(Double(values[slot * 3 + 2]) - 3 * phi) < 1e-6)
                slot += 1
            }
            for empty in slot..<(row + 1) * length {
                #expect(mask[empty] == 0 && values[empty * 3] == 0 && values[empty * 3 + 2] == 0)
            }
        }
    }

    @Test func `a column that the features need and the batch has not is named`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: path, schema: try SourceSchema(named: "aspen-open-jets"),
            options: ConversionOptions()
        ).run()
        let batch = try #require(try Loader(dataset: path, columns: ["px"]).batches().next())
        let assembler = try FeatureAssembler(.released)
        var values = [Float](repeating: 0, count: batch.rows * 128 * 3),
            mask = [UInt8](repeating: 0, count: batch.rows * 128)
        let error = #expect(throws: LoaderError.self) {
            try values.withUnsafeMutableBufferPointer { values in
                try mask.withUnsafeMutableBufferPointer { mask in
                    try batch.assemble(assembler, values: values, mask: mask)
                }
            }
        }
        #expect(error?.place == "column py")
    }
}
