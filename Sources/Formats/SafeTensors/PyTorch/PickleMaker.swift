import Support

/// Makes the nodes of a pickle: containers, storages and tensors for what it knows, inert nodes for everything else.
struct PickleMaker {

    var graph = PickleGraph()
    private let limits: Unpickler.Limits
    private var globals: [PickleGraph.Global: PickleGraph.Item] = [:]
    private var copied = 0

    init(limits: Unpickler.Limits) { self.limits = limits }

    /// Adds a node. Their number is held against the limits by whoever asks for many.
    mutating func add(_ node: PickleGraph.Node) -> PickleGraph.Item {
        graph.nodes.append(node)
        return .node(Int32(truncatingIfNeeded: graph.nodes.count - 1))
    }

    /// The node of a class or function, one for each name.
    mutating func global(module: String, name: String) -> PickleGraph.Item {
        let global = PickleGraph.Global(module: module, name: name)
        if let known = globals[global] { return known }
        graph.globals.append(global)
        let item = add(.global(Int32(truncatingIfNeeded: graph.globals.count - 1)))
        globals[global] = item
        return item
    }

    // MARK: Containers

    mutating func append(_ items: [PickleGraph.Item], to target: PickleGraph.Item) throws(SafeTensorsError) {
        guard case .node(let number) = target else { throw misplaced("appends") }
        let place = Int(number)
        // The node is emptied meanwhile: a second owner of the array would make each change a copy.
        switch graph.nodes[place] {
        case .list(var old):
            graph.nodes[place] = .list([])
            old.append(contentsOf: items)
            graph.nodes[place] = .list(old)
        case .set(var old):
            graph.nodes[place] = .set([])
            old.append(contentsOf: items)
            graph.nodes[place] = .set(old)
        case .object(let object):
            graph.objects[Int(object)].items.append(contentsOf: items)
        default: throw misplaced("appends")
        }
    }

    mutating func store(_ pairs: [PickleGraph.Pair], in target: PickleGraph.Item) throws(SafeTensorsError) {
        guard case .node(let number) = target else { throw misplaced("stores") }
        let place = Int(number)
        switch graph.nodes[place] {
        case .dictionary(var old):
            graph.nodes[place] = .dictionary([])
            old.append(contentsOf: pairs)
            graph.nodes[place] = .dictionary(old)
        case .object(let object):
            graph.objects[Int(object)].pairs.append(contentsOf: pairs)
        default: throw misplaced("stores")
        }
    }

    /// Gives an inert object its state. That of containers and tensors is of no use here: metadata, hooks.
    mutating func setState(_ state: PickleGraph.Item, of target: PickleGraph.Item) {
        guard case .object(let object)? = graph.node(target) else { return }
        graph.objects[Int(object)].state = state
    }

    // MARK: Calls that do not take place

    /// What a call of `maker` stands for.
    mutating func make(
        _ maker: PickleGraph.Item, arguments: PickleGraph.Item, keywords: PickleGraph.Item = .none
    ) throws(SafeTensorsError) -> PickleGraph.Item {
        if let global = graph.global(maker), let values = graph.tuple(arguments),
            let known = try known(global, values)
        {
            return known
        }
        graph.objects.append(.init(maker: maker, arguments: arguments, keywords: keywords))
        return add(.object(Int32(truncatingIfNeeded: graph.objects.count - 1)))
    }

    private mutating func known(
        _ global: PickleGraph.Global, _ values: [PickleGraph.Item], isInner: Bool = false
    ) throws(SafeTensorsError) -> PickleGraph.Item? {
        switch (global.module, global.name) {
        case ("collections", "OrderedDict"), ("__builtin__", "dict"), ("builtins", "dict"):
            guard let pairs = try pairs(values) else { return nil }
            return add(.dictionary(pairs))
        case ("collections", "defaultdict"):
            // The first argument makes missing values.
            guard let pairs = try pairs(Array(values.dropFirst())) else { return nil }
            return add(.dictionary(pairs))
        case ("__builtin__", "set"), ("builtins", "set"), ("__builtin__", "frozenset"), ("builtins", "frozenset"):
            guard values.count <= 1 else { return nil }
            guard let first = values.first else { return add(.set([])) }
            guard case .list(let items)? = graph.node(first) else { return nil }
            try spend(items.count)
            return add(.set(items))
        case ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor"):
            return try tensor(values, type: nil)
        case ("torch._utils", "_rebuild_tensor_v3"):
            guard values.count >= 7, let name = graph.global(values[6]), name.module == "torch",
                let type = Self.elementTypes[name.name]
            else { return nil }
            return try tensor(values, type: type)
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            // The tensor itself; a parameter is one that learns.
            guard let first = values.first, case .tensor? = graph.node(first) else { return nil }
            return first
        case ("torch._tensor", "_rebuild_from_type_v2"):
            // A tensor with attributes: function, class, arguments, state. Once only: pickles may nest without end.
            guard !isInner, values.count == 4, let function = graph.global(values[0]),
                let arguments = graph.tuple(values[2])
            else { return nil }
            return try known(function, arguments, isInner: true)
        default: return nil
        }
    }

    /// The entries of a dictionary that is made from nothing, or from a list of pairs; nil if it is made from something else.
    private mutating func pairs(_ values: [PickleGraph.Item]) throws(SafeTensorsError) -> [PickleGraph.Pair]? {
        guard let first = values.first else { return [] }
        guard values.count == 1, case .list(let items)? = graph.node(first) else { return nil }
        try spend(items.count)
        var found: [PickleGraph.Pair] = []
        found.reserveCapacity(items.count)
        for item in items {
            guard let pair = graph.tuple(item) ?? list(item), pair.count == 2 else { return nil }
            found.append(.init(key: pair[0], value: pair[1]))
        }
        return found
    }

    private func list(_ item: PickleGraph.Item) -> [PickleGraph.Item]? {
        guard case .list(let items)? = graph.node(item) else { return nil }
        return items
    }

    /// A small pickle can ask for the same list again and again.
    private mutating func spend(_ count: Int) throws(SafeTensorsError) {
        copied += count
        guard copied <= limits.copies else {
            throw SafeTensorsError(.limit, message: "more than \(limits.copies) values copied from one list to another")
        }
    }

    // MARK: Tensors

    /// The storage that a persistent identifier stands for.
    mutating func storage(_ identifier: PickleGraph.Item) throws(SafeTensorsError) -> PickleGraph.Item {
        guard let parts = graph.tuple(identifier), parts.count >= 5, graph.text(parts[0]) == "storage",
            let kind = graph.global(parts[1]), let key = graph.text(parts[2]), let device = graph.text(parts[3]),
            let count = graph.integer(parts[4]), count >= 0
        else {
            throw SafeTensorsError(
                .unsupported, message: "an object outside the pickle that is no storage",
                advice: "save the state dictionary with torch.save(model.state_dict(), ...)")
        }
        let className = kind.module.hasPrefix("torch") ? kind.name : "\(kind.module).\(kind.name)"
        graph.storages.append(
            TensorStorage(
                key: key, className: className, type: Self.storageTypes[className], count: count, device: device))
        return add(.storage(Int32(truncatingIfNeeded: graph.storages.count - 1)))
    }

    /// A look at a storage: storage, offset, shape, strides and more that does not matter here. nil if the storage's numbers
    /// are of a type that this room has not.
    private mutating func tensor(
        _ values: [PickleGraph.Item], type given: TensorType?
    ) throws(SafeTensorsError) -> PickleGraph.Item? {
        guard values.count >= 4, case .storage(let number)? = graph.node(values[0]),
            let offset = graph.integer(values[1]), let shape = lengths(values[2]), let strides = lengths(values[3])
        else {
            throw SafeTensorsError(
                .damaged, message: "a tensor without storage, offset, shape or strides", advice: copyAgain)
        }
        let storage = graph.storages[Int(number)]
        guard let type = given ?? storage.type else { return nil }
        guard
            let tensor = StoredTensor(type: type, shape: shape, strides: strides, offset: offset, storage: storage)
        else {
            throw SafeTensorsError(
                .damaged,
                message: "a tensor \(shape) with strides \(strides) at \(offset) leads out of storage \(storage.key) "
                    + "of \(storage.count)", advice: copyAgain)
        }
        graph.tensors.append(tensor)
        return add(.tensor(Int32(truncatingIfNeeded: graph.tensors.count - 1)))
    }

    private func lengths(_ item: PickleGraph.Item) -> [Int]? {
        guard let items = graph.tuple(item), items.count <= TensorEntry.mostDimensions else { return nil }
        let numbers = items.compactMap { graph.integer($0) }
        return numbers.count == items.count ? numbers : nil
    }

    private func misplaced(_ what: String) -> SafeTensorsError {
        SafeTensorsError(.damaged, message: "\(what) to something that takes nothing", advice: copyAgain)
    }

    private static let storageTypes: [String: TensorType] = [
        "DoubleStorage": .f64, "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16,
        "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8, "ByteStorage": .u8,
        "BoolStorage": .bool,
    ]

    private static let elementTypes: [String: TensorType] = [
        "float64": .f64, "float32": .f32, "float16": .f16, "bfloat16": .bf16, "int64": .i64, "int32": .i32,
        "int16": .i16, "int8": .i8, "uint8": .u8, "bool": .bool,
    ]
}
