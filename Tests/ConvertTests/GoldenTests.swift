import ArrowIPC
import Convert
import Foundation
import HDF5File
import Shards
import Support
import TestSupport
import Testing

/// A dataset of format version 1 that every later version must read: Tests/Data/v1, the first 16 jets of the sample.
///
/// It was made with `pando convert samples/aoj_sample.h5 Tests/Data/v1/golden --limit 16 --batch-rows 8` in the root of the
/// package, and is never made again.
@Suite struct GoldenTests {
    private let golden = Package.testData + "/v1/golden"

    @Test func `the dataset is sound and decodes to the jets of the sample`() throws {
        var verifier = DatasetVerifier(directory: golden)
        verifier.provesLosslessness = true
        #expect(try verifier.run().isSound)
        let dataset = try Dataset(directory: golden)
        #expect(dataset.catalogue.formatVersion == 1)
        #expect(dataset.catalogue.rows == 16)
        #expect(dataset.batchCount == 2)
        let encoding = dataset.catalogue.encoding
        let reader = dataset.makeReader(), decoder = try JetDecoder(encoding: encoding, file: golden)
        let columns = JetColumns(fields: encoding.fields)
        let file = try HDF5File(path: Package.sample)
        let padded = try PaddedReader([file.dataset("PFCands")]).readBand(0, scratch: HDF5Scratch())
        var row = 0, place = 0
        for batch in 0..<2 {
            try decoder.decode(reader.read(batch), into: columns, file: golden)
            let counts = (0..<columns.rows).map { UInt32(columns.offsetNumbers[$0 + 1] - columns.offsetNumbers[$0]) }
            #expect(counts == Array(padded.counts[row..<row + columns.rows]))
            for field in 0..<11 {
                let expected = padded.column(field)[place * 4..<(place + columns.constituents) * 4]
                #expect(columns.bytes(of: field).elementsEqual(expected), "\(encoding.fields[field].name)")
            }
            row += columns.rows
            place += columns.constituents
        }
    }

    @Test func `the same conversion gives the same jets, and with the same libraries the same bytes`() throws {
        let directory = try TemporaryDirectory()
        let made = try MadeInput.convert([Package.sample], directory.file("d")) {
            $0.limit = 16
            $0.batchRows = 8
        }
        let old = try Dataset(directory: golden).catalogue
        #expect(made.fingerprint == old.fingerprint)
        if made.writer == old.writer {
            for name in ["shards/00000.arrow", "parity/00000.par"] {
                #expect(
                    try InputFile(path: directory.file("d/\(name)")).readAll()
                        == InputFile(path: "\(golden)/\(name)").readAll(), "\(name)")
            }
            // The index has learnt to note the digests of the messages' parts.
            var index = try Dataset(directory: directory.file("d")).index
            for shard in index.shards.indices {
                for batch in index.shards[shard].indices { index.shards[shard][batch].parts = [] }
            }
            #expect(try index.fileBytes() == InputFile(path: golden + "/index.arrow").readAll())
        }
    }
}
