import Support

/// The tensors of a checkpoint by their names.
struct StateDictionary: Sendable {
    private(set) var tensors: [(name: String, tensor: StoredTensor)] = []
    /// Entries that are something else.
    private(set) var others: [(name: String, value: PickleValue)] = []
    private var index = NameIndex()
    private var otherIndex = NameIndex()

    /// Takes what lies under `key`, or else the whole if it holds nothing but tensors.
    init(_ root: PickleValue, key: String, isScript: Bool) throws(SafeTensorsError) {
        guard let entries = Self.entries(root, key: key) else {
            throw Self.missing(root, key: key, isScript: isScript)
        }
        for (name, value) in entries {
            let isNew: Bool
            guard let name = name.string else {
                throw SafeTensorsError(.unsupported, place: key, message: "a name that is \(name.summary)")
            }
            if case .tensor(let tensor) = value {
                isNew = index.insert(name, at: tensors.count) && otherIndex[name] == nil
                tensors.append((name, tensor))
            } else {
                isNew = otherIndex.insert(name, at: others.count) && index[name] == nil
                others.append((name, value))
            }
            guard isNew else {
                throw SafeTensorsError(
                    .damaged, place: key, message: "the name \(name) stands there twice", advice: copyAgain)
            }
        }
    }

    func tensor(_ name: String) throws(SafeTensorsError) -> StoredTensor {
        if let position = index[name] { return tensors[position].tensor }
        if let position = otherIndex[name] {
            throw SafeTensorsError(
                .unsupported, place: "tensor \(name)", message: "it is \(others[position].value.summary)",
                advice: "convert it to a plain tensor before it is saved")
        }
        throw SafeTensorsError(
            .missing, place: "tensor \(name)", message: "is not in the state dictionary",
            advice: "there are \(tensors.count): \(String.sample(of: tensors.map(\.name)))")
    }

    private static func entries(_ root: PickleValue, key: String) -> PickleDictionary? {
        if let entries = root[key]?.dictionary { return entries }
        guard let entries = root.dictionary, !entries.isEmpty, entries.allSatisfy({ $0.value.tensor != nil }) else {
            return nil
        }
        return entries
    }

    private static func missing(_ root: PickleValue, key: String, isScript: Bool) -> SafeTensorsError {
        let advice: String
        if isScript {
            advice = "this is TorchScript: save model.state_dict() with torch.save instead"
        } else if let names = root.dictionary?.names, !names.isEmpty {
            advice =
                "its top level has \(String.sample(of: names)): name the one that holds it (stateKey), or save "
                + "model.state_dict() with torch.save"
        } else {
            advice = "save model.state_dict() with torch.save"
        }
        return SafeTensorsError(
            .missing, place: key, message: "there is no state dictionary; the file holds \(root.summary)",
            advice: advice)
    }
}
