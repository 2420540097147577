// Datasets of a size that nobody has at hand, and what a loader makes of them, as JSON:
//   scale-probe make CONFIGURATION           the tasks of a conversion, with sparse shards
//   scale-probe open DATASET                 opens it, as everything begins
//   scale-probe ranks CONFIGURATION          walks through an epoch of all ranks and counts each row; goes on in the middle
//   scale-probe resume CONFIGURATION RANK    goes on in the middle, as one rank
import Foundation
import Loader
import Shards

func report(_ values: [String: Any]) throws {
    print(String(decoding: try JSONSerialization.data(withJSONObject: values, options: .sortedKeys), as: UTF8.self))
}

func configuration<T: Decodable>(_ type: T.Type, _ file: String) throws -> T {
    try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: file)))
}

let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("make", 3): try make(configuration(CatalogueConfiguration.self, arguments[2]))
case ("open", 3):
    let dataset = try Dataset(directory: arguments[2])
    try report([
        "rows": dataset.catalogue.rows, "batches": dataset.batchCount, "shards": dataset.catalogue.shards.count,
        "inputs": dataset.catalogue.provenance.inputs.count,
    ])
case ("ranks", 3): try ranks(configuration(RanksConfiguration.self, arguments[2]))
case ("resume", 4):
    guard let rank = Int(arguments[3]) else { fallthrough }
    try resume(configuration(RanksConfiguration.self, arguments[2]), rank: rank)
default:
    print("usage: scale-probe make FILE | open DATASET | ranks FILE | resume FILE RANK")
    exit(64)
}
